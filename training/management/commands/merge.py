import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotation.text.formatting import duration
from training.cli.progress import get_checkpoint, plain_errors
from training.contract.config import ALLOW_OTHER_BASE, ModelSource
from training.contract.run_directory import TRAIN
from training.contract.wording import counted
from training.engine_jobs import model_folders
from training.models import Checkpoint
from training.results.checkpoints import model_source
from training.supervision.launch import engine_environment

INTERRUPTED = 130


class Command(BaseCommand):
    help = (
        "Merge a checkpoint's adapters into their base, along its whole lineage (SFT, then "
        "DPO), and write a standalone "
        "model: sharded safetensors, tokenizer, lineage and card. Compares the logits before and after first. Needs "
        "4 bytes of memory per parameter. Ctrl-C leaves nothing behind."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("checkpoint", type=int, help="its id")
        parser.add_argument(
            "--to",
            metavar="FOLDER",
            type=Path,
            help="a folder that does not exist yet; default var/models/<project>-checkpoint-<id>, usable by runs",
        )
        parser.add_argument(ALLOW_OTHER_BASE.flag, action="store_true", help=ALLOW_OTHER_BASE.help)
        parser.add_argument("--dtype", choices=["fp32", "bf16", "fp16"], help="default: as the base is stored")
        parser.add_argument("--shard-size", default="2GB", help="maximum file size, such as 500MB; default 2GB")
        parser.add_argument(
            "--tolerance",
            type=float,
            help="maximum change of a logit in float32, relative to the largest one above 1; default 1e-4",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        checkpoint = get_checkpoint(options["checkpoint"])
        with plain_errors():
            source = model_source(checkpoint)
        if not source.adapters:
            raise CommandError(
                f"checkpoint {checkpoint.pk} has full weights: there is nothing to merge. Load it directly from "
                f"{source.base}"
            )
        default = Path(settings.VAR) / "models" / f"{checkpoint.project.slug}-checkpoint-{checkpoint.pk}"
        to = (options["to"] or default).resolve()
        outcome = run_engine(engine_arguments(checkpoint, source, to, options), self)
        rounding = outcome["largest_difference_as_written"]
        self.stdout.write(
            f"{checkpoint} merged into {to}: {outcome['parameters']:,} parameters as {outcome['dtype']} in "
            f"{counted(outcome['shards'], 'file')}, logits differ by "
            f"{outcome['largest_difference']:.2g} at most ({rounding:.2g} as written), took "
            f"{duration(outcome['wall_s'])}"
        )
        if any(to.is_relative_to(root) for root in model_folders.roots()):
            self.stdout.write(f"runs may start from it: --model {model_folders.short_name(str(to))}")


def engine_arguments(checkpoint: Checkpoint, source: ModelSource, to: Path, options: dict[str, Any]) -> list[str]:
    argv = ["--base", source.base, "--to", str(to), "--shard-size", options["shard_size"]]
    for adapter in source.adapters:
        argv += ["--adapter", adapter]
    dataset = checkpoint.run.directory.dataset
    if (dataset / TRAIN).is_file():
        argv += ["--dataset", str(dataset)]
    if options["allow_other_base"] or source.allow_other_base:
        argv.append(ALLOW_OTHER_BASE.flag)
    for name in ("dtype", "tolerance"):
        if options[name] is not None:
            argv += [f"--{name}", str(options[name])]
    return argv


def run_engine(argv: list[str], command: BaseCommand) -> dict[str, Any]:
    """The engine as a process of its own, its progress on stderr; what it says of a success.

    Ctrl-C is handed on once, and the engine clears up. Raises CommandError with the engine's own words.
    """
    engine = subprocess.Popen(
        [sys.executable, "-m", "training.engine.merge", *argv],
        cwd=settings.BASE_DIR,
        env=engine_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a terminal's Ctrl-C would reach it twice
    )
    while True:
        try:
            lines = engine.communicate()[0].strip().splitlines()
            break
        except KeyboardInterrupt:
            command.stderr.write("stopping …")
            engine.send_signal(signal.SIGINT)
    try:
        outcome: dict[str, Any] = json.loads(lines[-1])
    except (IndexError, ValueError) as error:
        raise CommandError(
            f"merging was killed (exit code {engine.returncode}), most likely because memory ran out: it needs "
            "4 bytes per parameter plus 10 %"
        ) from error
    if outcome["status"] != "succeeded":
        raise CommandError(outcome["error"], returncode=max(1, engine.returncode))
    return outcome
