"""Plans of a collection, kept to be compared with what happens."""

from django.db import models

from annotation.models.project import Project
from annotation.models.task import Batch, Kind
from annotation.models.user import User


class Plan(models.Model):
    """What was wanted and what a pilot said that it takes, as computed when somebody kept it. It never changes, but for
    the batch that it is for. `annotation.planning.estimate` describes `wanted` (`Wanted`) and `results` (`Results`)."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="plans")
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    pilot = models.ForeignKey(
        Batch, models.SET_NULL, related_name="+", null=True, help_text="Empty: answers of the kind in all batches."
    )
    wanted = models.JSONField()
    results = models.JSONField()
    basis = models.JSONField(help_text="What the pilot was: answers, tasks, days, people, agreement.")
    batch = models.ForeignKey(
        Batch, models.SET_NULL, related_name="plans", null=True, help_text="What the plan is compared with."
    )
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(kind__in=Kind.values), name="plan_kind"),
            models.CheckConstraint(condition=~models.Q(name=""), name="plan_name"),
        ]

    def __str__(self) -> str:
        return self.name
