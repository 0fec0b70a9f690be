from django.db import models

from annotation.models import DatasetVersion, Project, User


class LearningCurve(models.Model):
    """Runs on growing, nested shares of one dataset, evaluated on the same held-out rows: would more labels help?"""

    project = models.ForeignKey(Project, models.CASCADE, related_name="learning_curves")
    dataset = models.ForeignKey(DatasetVersion, models.PROTECT, related_name="learning_curves")
    shares = models.JSONField(help_text="The shares of the training prompts, ascending, such as [0.1, 0.25, 0.5, 1].")
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"learning curve {self.pk}"
