from training.cli.learning_curve import LearningCurveCommand


class Command(LearningCurveCommand):
    help = (
        "Kahneman-Tversky optimisation on a frozen dataset of unpaired rows (good and bad ones), LoRA by default. "
        "Start from an SFT checkpoint (--adapter) or a base model (--model). Shows its progress; Ctrl-C saves and "
        "stops. Exit code 0: succeeded, 1: failed, 3: cancelled."
    )
    trainer = "kto"
