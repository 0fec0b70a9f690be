from training.cli.learning_curve import LearningCurveCommand


class Command(LearningCurveCommand):
    help = (
        "Direct preference optimisation on a frozen dataset of pairs, LoRA by default. Start from an SFT checkpoint "
        "(--adapter) or a base model (--model). Shows progress; Ctrl-C saves and stops. "
        "Exit code 0: succeeded, 1: failed, 3: cancelled."
    )
    trainer = "dpo"
