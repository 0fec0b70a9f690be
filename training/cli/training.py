"""What the training commands share: options, the run, its live line, and the evaluation after it."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.table import Table

from training.cli.progress import (
    chosen_options,
    get,
    get_checkpoint,
    get_dataset,
    plain_errors,
    refuse_beside_resume,
    report,
    wait_for,
)
from training.contract.config import ALLOW_OTHER_BASE, ConfigError, LoraSettings
from training.contract.hyperparameters import parameters_of
from training.contract.metrics import LOSS, REWARD_ACCURACY
from training.engine_jobs.queue import resume
from training.models import Checkpoint, EngineJob, Evaluation, Run
from training.reports.progress import evaluation_figures, number
from training.runs.create import create_run
from training.runs.options import add_to


class TrainingCommand(BaseCommand):
    trainer: str

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("dataset", nargs="?", type=int, help=f"id of a dataset frozen --for {self.trainer}")
        start = parser.add_argument_group("starting model")
        start.add_argument("--model", metavar="FOLDER", help="a base model under an allowed root (KONOMI_MODEL_ROOTS)")
        start.add_argument(
            "--checkpoint", "--adapter", metavar="ID", type=int, help="a checkpoint of this project (its whole chain)"
        )
        start.add_argument(ALLOW_OTHER_BASE.flag, action="store_true", help=ALLOW_OTHER_BASE.help)
        start.add_argument("--resume", metavar="RUN", type=int, help="continue this failed or cancelled run instead")
        add_to(parser, self.trainer)
        words = parser.add_argument_group("for people")
        words.add_argument("--name", default="", help="what to call the run in lists (up to 80 characters)")
        words.add_argument("--note", default="", help="why it is started (up to 300 characters)")
        after = parser.add_argument_group("afterwards")
        after.add_argument("--no-evaluate", action="store_true", help="do not evaluate the checkpoint afterwards")

    def handle(self, *args: Any, **options: Any) -> None:
        with plain_errors():
            run = self._resumed(options) if options["resume"] else self._created(options)
        self.stderr.write(f"{run}: {run.directory.path}")
        wait_for(run, self.stdout)
        checkpoint = Checkpoint.objects.filter(run=run).first()
        evaluation = checkpoint.evaluations.order_by("id").first() if checkpoint else None
        summary = [f"checkpoint {checkpoint.pk}"] if checkpoint else []
        summary += [
            f"{key} {number(run.result['metrics'][key])}"
            for key in (LOSS, REWARD_ACCURACY)
            if run.result and key in run.result.get("metrics", {})
        ]
        if evaluation is not None:
            wait_for(evaluation, self.stdout)
            show_evaluation(evaluation)
            summary.append(f"evaluation {evaluation.pk} {evaluation.status}")
            if evaluation.status == EngineJob.Status.FAILED:
                self.stderr.write(evaluation.error)
        report(run, self.stdout, self.stderr, summary=", ".join(summary))

    def _resumed(self, options: dict[str, Any]) -> Run:
        run: Run = get(Run, options["resume"], "run")
        if run.trainer != self.trainer:
            raise CommandError(f"{run} is not for this command: use train_{run.trainer} --resume {run.pk}")
        if options["dataset"] is not None or options["model"] or options["checkpoint"]:
            raise CommandError("--resume continues a run with its settings: do not give a dataset or model")
        self.refuse_description(options)
        refuse_beside_resume(self, options)
        resume(run, None)
        return run

    def refuse_description(self, options: dict[str, Any]) -> None:
        if options["name"] or options["note"]:
            raise CommandError("--resume keeps a run's name and note: change them on its page")

    def _created(self, options: dict[str, Any]) -> Run:
        if options["dataset"] is None:
            raise CommandError(f"no dataset: give the id of one frozen --for {self.trainer}")
        dataset = get_dataset(options["dataset"])
        return create_run(
            project=dataset.project,
            trainer=self.trainer,
            dataset=dataset,
            actor=None,
            base_model=options["model"] or "",
            parent=get_checkpoint(options["checkpoint"]) if options["checkpoint"] else None,
            options=self.chosen(options),
            evaluate=not options["no_evaluate"],
            allow_other_base=options["allow_other_base"],
            name=options["name"],
            note=options["note"],
        )

    def chosen(self, options: dict[str, Any]) -> dict[str, Any]:
        """The fields of TrainingConfig that the command line names."""
        known = parameters_of(self.trainer)
        chosen = chosen_options(options, tuple(parameter.key for parameter in known if not parameter.nested))
        if chosen.get("accelerate_config"):
            file = Path(chosen["accelerate_config"]).resolve()  # the engine starts in another folder
            if not file.is_file():
                raise CommandError(f"--accelerate-config: no file {file}")
            chosen["accelerate_config"] = str(file)
        lora = {parameter.attribute: options[parameter.key] for parameter in known if parameter.nested}
        lora = {name: value for name, value in lora.items() if value is not None}
        if options["full"]:
            if lora:
                raise CommandError("--full trains all weights: omit the --lora options, --dora and --quantization")
            chosen["lora"] = None
        elif lora:
            try:
                chosen["lora"] = LoraSettings(**lora)
            except ConfigError as error:
                raise CommandError(str(error)) from error
        return chosen


def show_evaluation(evaluation: Evaluation) -> None:
    """The figures as a table on stderr; nothing where it did not succeed."""
    rows = evaluation_figures((evaluation.result or {}).get("metrics", {}))
    if not rows:
        return
    table = Table(
        "figure", "checkpoint", "95 %", "parent", "95 %", "against parent", title=f"evaluation {evaluation.pk}"
    )
    for row in rows:
        table.add_row(row.label, row.value, row.interval, row.parent_value, row.parent_interval, row.verdict_text)
    Console(stderr=True).print(table)
