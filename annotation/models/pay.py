"""What annotation costs."""

from django.db import models
from django.db.models import Q

from annotation.models.project import Project
from annotation.models.user import User


class PayRate(models.Model):
    """What an hour of active work, or an answer, costs from a day on: for one person, or for all without their own.

    A later rate replaces an earlier one from its day on; what was worked before keeps the rate of its day.
    """

    class Unit(models.TextChoices):
        HOUR = "hour", "Hour"
        ANSWER = "answer", "Answer"

    project = models.ForeignKey(Project, models.CASCADE, related_name="pay_rates")
    annotator = models.ForeignKey(User, models.CASCADE, related_name="+", null=True, blank=True)
    unit = models.CharField(max_length=8, choices=Unit.choices)
    amount = models.DecimalField(max_digits=12, decimal_places=4, help_text="In the project's currency.")
    since = models.DateField(help_text="The first day, in the project's time zone.")

    class Meta:
        ordering = ["since", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "annotator", "since"], nulls_distinct=False, name="pay_rate_once_a_day"
            ),
            models.CheckConstraint(condition=Q(amount__gte=0), name="pay_rate_not_negative"),
            models.CheckConstraint(condition=Q(unit__in=["hour", "answer"]), name="pay_rate_unit"),
        ]

    def __str__(self) -> str:
        return f"{self.amount} per {self.unit} since {self.since}"
