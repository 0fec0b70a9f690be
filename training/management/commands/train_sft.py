from training.management.training import TrainingCommand


class Command(TrainingCommand):
    help = (
        "Supervised fine-tuning on a frozen dataset, LoRA by default. Shows its progress; Ctrl-C saves and stops. "
        "Exit code 0: succeeded, 1: failed, 3: cancelled."
    )
    trainer = "sft"
