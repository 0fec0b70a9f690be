"""What `train_sft` and `train_dpo` share: options, the run, its live line, and the evaluation after it."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.table import Table

from training.console import comma_list, find, find_checkpoint, find_dataset, given, plain_errors, report, wait_for
from training.engine.config import LoraSettings
from training.metrics import evaluation_figures, number
from training.models import Checkpoint, EngineJob, Evaluation, Run
from training.queueing import resume
from training.runs import create_run

OPTIONS = (
    "epochs", "max_steps", "learning_rate", "lr_scheduler", "warmup_ratio", "weight_decay", "max_grad_norm",
    "batch_size", "gradient_accumulation", "max_length", "seed", "save_steps", "save_total_limit", "logging_steps",
    "threads", "max_seconds", "beta", "losses", "loss_weights",
)  # fmt: skip


class TrainingCommand(BaseCommand):
    trainer: str

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("dataset", nargs="?", type=int, help=f"id of a dataset frozen --for {self.trainer}")
        start = parser.add_argument_group("what it starts from")
        start.add_argument("--model", metavar="FOLDER", help="a base model below an allowed root (KONOMI_MODEL_ROOTS)")
        start.add_argument(
            "--checkpoint", "--adapter", metavar="ID", type=int, help="a checkpoint of this project (its whole chain)"
        )
        start.add_argument("--resume", metavar="RUN", type=int, help="continue this failed or cancelled run instead")
        steps = parser.add_argument_group("steps")
        steps.add_argument("--epochs", type=float, help="passes over the rows; default 1")
        steps.add_argument("--max-steps", type=int, help="end after so many optimizer steps instead")
        steps.add_argument("--max-seconds", type=float, help="end after so much wall time, as if at the last step")
        steps.add_argument("--learning-rate", type=float, help="the highest rate; the default depends on the trainer")
        steps.add_argument("--lr-scheduler", help="linear, cosine, constant …; default cosine")
        steps.add_argument("--warmup-ratio", type=float, help="share of the steps in which the rate rises; 0.03")
        steps.add_argument("--weight-decay", type=float, help="default 0")
        steps.add_argument("--max-grad-norm", type=float, help="gradients are clipped to this norm; default 1")
        steps.add_argument("--batch-size", type=int, help="rows side by side; default 8")
        steps.add_argument("--gradient-accumulation", type=int, help="batches in one optimizer step; default 1")
        steps.add_argument("--max-length", type=int, help="tokens of prompt and completion; longer ones are cut; 1024")
        steps.add_argument("--seed", type=int, help="of initialisation and order; default 17")
        lora = parser.add_argument_group("LoRA (the default) or all weights")
        lora.add_argument("--full", action="store_true", help="train all weights instead of an adapter")
        lora.add_argument("--lora-r", type=int, help="the adapter's rank; default 16")
        lora.add_argument("--lora-alpha", type=int, help="its scaling; default twice the rank")
        lora.add_argument("--lora-dropout", type=float, help="default 0")
        lora.add_argument("--lora-targets", type=comma_list, help="modules, such as q_proj,v_proj; default all-linear")
        keeping = parser.add_argument_group("keeping, and the machine")
        keeping.add_argument("--save-steps", type=int, help="steps between checkpoints to resume from; default 50")
        keeping.add_argument("--save-total-limit", type=int, help="how many of those are kept; default 2")
        keeping.add_argument("--logging-steps", type=int, help="steps between lines of metrics; default 1")
        keeping.add_argument("--threads", type=int, help="CPU threads of the engine; default all")
        keeping.add_argument(
            "--gradient-checkpointing", action="store_true", help="less memory for about a third more computing"
        )
        keeping.add_argument("--no-evaluate", action="store_true", help="do not evaluate the checkpoint afterwards")

    def handle(self, *args: Any, **options: Any) -> None:
        with plain_errors():
            run = self._resumed(options) if options["resume"] else self._created(options)
        self.stderr.write(f"{run}: {run.directory.path}")
        wait_for(run, self.stdout)
        checkpoint = Checkpoint.objects.filter(run=run).first()
        evaluation = checkpoint.evaluations.order_by("id").first() if checkpoint else None
        said = [f"checkpoint {checkpoint.pk}"] if checkpoint else []
        said += [f"{key} {number(run.result['metrics'][key])}" for key in ("loss", "reward_accuracy")
                 if run.result and key in run.result.get("metrics", {})]  # fmt: skip
        if evaluation is not None:
            wait_for(evaluation, self.stdout)
            show_evaluation(evaluation)
            said.append(f"evaluation {evaluation.pk} {evaluation.status}")
            if evaluation.status == EngineJob.Status.FAILED:
                self.stderr.write(evaluation.error)
        report(run, self.stdout, self.stderr, said=", ".join(said))

    def _resumed(self, options: dict[str, Any]) -> Run:
        run: Run = find(Run, options["resume"], "run")
        if run.trainer != self.trainer:
            raise CommandError(f"{run} is not for this command: use train_{run.trainer} --resume {run.pk}")
        if options["dataset"] is not None or options["model"] or options["checkpoint"]:
            raise CommandError("--resume continues a run as it was begun: give no dataset and no model with it")
        resume(run, None)
        return run

    def _created(self, options: dict[str, Any]) -> Run:
        if options["dataset"] is None:
            raise CommandError(f"which dataset? Give the id of one frozen --for {self.trainer}")
        dataset = find_dataset(options["dataset"])
        chosen = given(options, OPTIONS)
        if options["gradient_checkpointing"]:
            chosen["gradient_checkpointing"] = True
        lora = {name: options[f"lora_{name}"] for name in ("r", "alpha", "dropout", "targets")}
        lora = {name: value for name, value in lora.items() if value is not None}
        if options["full"]:
            if lora:
                raise CommandError("--full trains all weights: leave the --lora options out")
            chosen["lora"] = None
        elif lora:
            if "r" in lora:
                lora.setdefault("alpha", 2 * lora["r"])
            chosen["lora"] = LoraSettings(**lora)
        return create_run(
            project=dataset.project,
            trainer=self.trainer,
            dataset=dataset,
            actor=None,
            base_model=options["model"] or "",
            parent=find_checkpoint(options["checkpoint"]) if options["checkpoint"] else None,
            options=chosen,
            evaluate=not options["no_evaluate"],
        )


def show_evaluation(evaluation: Evaluation) -> None:
    """The figures as a table on stderr; nothing where it did not succeed."""
    rows = evaluation_figures((evaluation.result or {}).get("metrics", {}))
    if not rows:
        return
    table = Table("figure", "checkpoint", "95 %", "parent", "95 %", title=f"evaluation {evaluation.pk}")
    for row in rows:
        table.add_row(row.label, row.value, row.interval, row.parent_value, row.parent_interval)
    Console(stderr=True).print(table)
