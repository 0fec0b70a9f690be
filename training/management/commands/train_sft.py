from training.cli.learning_curve import LearningCurveCommand


class Command(LearningCurveCommand):
    help = (
        "Supervised fine-tuning on a frozen dataset, LoRA by default. Shows progress; Ctrl-C saves and stops. "
        "Exit code 0: succeeded, 1: failed, 3: cancelled."
    )
    trainer = "sft"
