from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from training.cli.progress import get_checkpoint, plain_errors
from training.results.promotion import promote


class Command(BaseCommand):
    help = (
        "Promote a checkpoint: the next round compares its output. With --if, only if its newest evaluation, and what "
        "people preferred, meet all rules; otherwise the command prints the metrics and exits with 1."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("checkpoint", type=int, help="the checkpoint's id")
        parser.add_argument(
            "--if",
            dest="rules",
            action="append",
            default=[],
            metavar="'FIGURE>=NUMBER'",
            help="a condition on its figures, such as 'reward_accuracy>=0.6' or, of what people preferred, "
            "'win_rate>=0.55' (also <=, >, <, ==); repeatable",
        )
        parser.add_argument("--note", default="", help="reason, kept with the model's history")

    def handle(self, *args: Any, **options: Any) -> None:
        with plain_errors():
            checkpoint = promote(
                checkpoint=get_checkpoint(options["checkpoint"]),
                actor=None,
                note=options["note"],
                rules=options["rules"],
            )
        note = f", {checkpoint.promotion_note}" if checkpoint.promotion_note else ""
        self.stdout.write(f"checkpoint {checkpoint.pk}: promoted{note}")
