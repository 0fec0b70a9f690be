from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from training.cli.progress import chosen_options, get_checkpoint, get_dataset, plain_errors, report, wait_for
from training.cli.training import show_evaluation
from training.contract.config import ALLOW_OTHER_BASE
from training.contract.metrics import FIGURES
from training.reports.progress import number
from training.results.evaluations import OPTIONS, create_evaluation


class Command(BaseCommand):
    help = (
        "Evaluate a checkpoint on held-out rows and compare it with its parent: preference "
        "accuracy and margin, likelihoods, chrF "
        "and BLEU where there are references, sample outputs. Exit code 0: succeeded, 1: failed, 3: cancelled."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("checkpoint", type=int, help="the checkpoint's id")
        parser.add_argument(
            "--dataset", type=int, help="the dataset whose held-out rows are used; default: the one it was trained on"
        )
        parser.add_argument("--samples", dest="sample_outputs", type=int, help="sample outputs to keep; default 24")
        parser.add_argument(
            "--metrics-limit", type=int, help="maximum number of outputs compared with references; default 500"
        )
        parser.add_argument("--max-new-tokens", type=int, help="maximum new tokens per output; default 128")
        parser.add_argument("--max-length", type=int, help="tokens of prompt and completion; default as in training")
        parser.add_argument("--batch-size", type=int, help="texts generated in parallel; default 16")
        parser.add_argument("--seed", type=int, help="seed of the intervals and of the choice of samples; default 17")
        parser.add_argument(ALLOW_OTHER_BASE.flag, action="store_true", help=ALLOW_OTHER_BASE.help)
        parser.add_argument("--threads", type=int, help="CPU threads of the engine; default as in training")

    def handle(self, *args: Any, **options: Any) -> None:
        with plain_errors():
            evaluation = create_evaluation(
                checkpoint=get_checkpoint(options["checkpoint"]),
                actor=None,
                dataset=get_dataset(options["dataset"]) if options["dataset"] else None,
                options=chosen_options(options, tuple(OPTIONS)),
                allow_other_base=options["allow_other_base"],
            )
        wait_for(evaluation, self.stdout)
        show_evaluation(evaluation)
        metrics = (evaluation.result or {}).get("metrics", {})
        keys = [figure.key for figure in FIGURES if figure.summary and figure.key in metrics]
        summary = ", ".join(f"{key} {number(metrics[key])}" for key in keys)
        report(evaluation, self.stdout, self.stderr, summary=summary)
