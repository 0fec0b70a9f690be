from django.core.management.base import CommandParser

from training.console import comma_list
from training.management.training import TrainingCommand


def numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in comma_list(text))


class Command(TrainingCommand):
    help = (
        "Direct preference optimisation on a frozen dataset of pairs, LoRA by default. Start from an SFT checkpoint "
        "(--adapter) or a base model (--model). Shows its progress; Ctrl-C saves and stops. "
        "Exit code 0: succeeded, 1: failed, 3: cancelled."
    )
    trainer = "dpo"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        dpo = parser.add_argument_group("preference")
        dpo.add_argument("--beta", type=float, help="how firmly the model is held to where it starts; default 0.1")
        dpo.add_argument(
            "--losses",
            type=comma_list,
            help="TRL's loss types, added up; default sigmoid,sft (plain DPO is sigmoid; sft keeps the preferred texts "
            "likely)",
        )
        dpo.add_argument("--loss-weights", type=numbers, help="one weight for each loss, such as 1,0.5; default all 1")
