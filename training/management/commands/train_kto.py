from django.core.management.base import CommandParser

from training.management.training import TrainingCommand


class Command(TrainingCommand):
    help = (
        "Kahneman-Tversky optimisation on a frozen dataset of unpaired rows (good ones and bad ones), LoRA by default. "
        "Start from an SFT checkpoint (--adapter) or a base model (--model). Shows its progress; Ctrl-C saves and "
        "stops. Exit code 0: succeeded, 1: failed, 3: cancelled."
    )
    trainer = "kto"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        kto = parser.add_argument_group("good and bad texts")
        kto.add_argument("--beta", type=float, help="how firmly the model is held to where it starts; default 0.1")
