from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from annotation.models import DatasetVersion, Project, User


class Checkpoint(models.Model):
    """The model that a run produced: an adapter on its parent chain, or full weights.

    `parent` is the checkpoint that the run started from; walk it up to the base, and `children` down again.
    """

    class Form(models.TextChoices):
        ADAPTER = "adapter", _("LoRA adapter")
        FULL = "full", _("Full weights")

    project = models.ForeignKey(Project, models.CASCADE, related_name="checkpoints")
    run = models.OneToOneField("training.Run", models.PROTECT, related_name="checkpoint")
    parent = models.ForeignKey("self", models.PROTECT, related_name="children", null=True, blank=True)
    dataset = models.ForeignKey(DatasetVersion, models.PROTECT, related_name="checkpoints", null=True, blank=True)
    base_model = models.CharField(max_length=500, blank=True, help_text="The folder at the root of the chain.")
    form = models.CharField(max_length=16, choices=Form.choices)
    path = models.CharField(max_length=500, help_text="The model folder, below var.")
    sha256 = models.CharField(max_length=64, help_text="Over the folder's file names and contents.")
    promoted_at = models.DateTimeField(null=True, blank=True)
    promoted_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True, blank=True)
    promotion_note = models.CharField(
        max_length=300, blank=True, help_text="The person's words, or the rule that held."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["project"], condition=Q(promoted_at__isnull=False), name="checkpoint_promoted")]

    def __str__(self) -> str:
        return f"checkpoint {self.pk}"

    @property
    def origin(self) -> str:
        """How a candidate names this checkpoint."""
        return f"checkpoint:{self.pk}"
