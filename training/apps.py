from django.apps import AppConfig


class TrainingConfig(AppConfig):
    name = "training"
    verbose_name = "Training"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Models exist from here on only.
        from annotation.consent.registry import MODELS
        from annotation.web.slots import BATCH_OUTCOMES, DASHBOARD_SECTIONS, LOOP_STEPS
        from training.web import slots, withdrawals

        LOOP_STEPS.append(slots.loop_steps)
        BATCH_OUTCOMES.append(slots.batch_outcome)
        DASHBOARD_SECTIONS.append(slots.dashboard_section)
        MODELS.append(withdrawals)
