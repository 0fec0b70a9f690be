"""How tasks were selected, and by what: arms of a batch, and a checkpoint's margins between candidates."""

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from annotation.models.project import Project
from annotation.models.prompt import Prompt
from annotation.models.task import Batch, Task


class TaskArm(models.Model):
    """How a task was selected, in a batch whose tasks were not all drawn at random. The random arm is what the others
    are compared with."""

    class Arm(models.TextChoices):
        RANDOM = "random", _("Random")
        UNCERTAIN = "uncertain", _("Most uncertain")
        DIVERSE = "diverse", _("Most diverse")

    task = models.OneToOneField(Task, models.CASCADE, related_name="arm", primary_key=True)
    batch = models.ForeignKey(Batch, models.CASCADE, related_name="+")
    arm = models.CharField(max_length=10, choices=Arm.choices)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(arm__in=["random", "uncertain", "diverse"]), name="task_arm"),
        ]

    def __str__(self) -> str:
        return f"task {self.task_id}: {self.arm}"


class PairMargin(models.Model):
    """What a checkpoint makes of two candidates of a prompt: the implicit reward of `one` minus that of `other`, which
    is above 0 where it prefers `one`. A project keeps those of one model, named by `origin` as candidates name theirs;
    `training` computes them (`manage.py compute_margins`) and replaces them as a whole."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    prompt = models.ForeignKey(Prompt, models.CASCADE, related_name="+", db_index=False)
    one = models.BigIntegerField(help_text="A candidate's id, the smaller one.")
    other = models.BigIntegerField()
    margin = models.FloatField()
    origin = models.CharField(max_length=180)
    computed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["prompt", "one", "other"], name="pair_margin_once"),
            models.CheckConstraint(condition=Q(one__lt=F("other")), name="pair_margin_order"),
        ]

    def __str__(self) -> str:
        return f"{self.margin:+.2f} of candidates {self.one} and {self.other}"
