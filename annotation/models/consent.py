"""Withdrawn consent, and what was removed after it."""

import secrets

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from annotation.models.dataset import DatasetVersion
from annotation.models.event import Event, EventSeal
from annotation.models.exclusion import Exclusion
from annotation.models.project import Project
from annotation.models.user import User


def new_salt() -> str:
    return secrets.token_hex(16)


class Withdrawal(models.Model):
    """A person's withdrawal of consent in a project. It is in effect until they consent again (`ended_at`).

    `reached` lists the dataset versions that contained their answers at that moment, as {"dataset", "sha256", "train",
    "held_out"} with numbers of rows: no later version contains any. `erased` counts what was erased, by
    place. `receipt` is the exact text that `signature` (Ed25519, base64) signs.
    """

    class Mode(models.TextChoices):
        EXCLUDE = "exclude", _("Exclude: the answers are kept, and count for nothing")
        ERASE = "erase", _("Erase: the answers are deleted, too")

    project = models.ForeignKey(Project, models.CASCADE, related_name="withdrawals")
    person = models.ForeignKey(User, models.PROTECT, related_name="withdrawals")
    mode = models.CharField(max_length=8, choices=Mode.choices)
    recorded_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    at = models.DateTimeField(auto_now_add=True)
    note = models.CharField(max_length=300, blank=True, help_text="How the person asked for it, for the record.")
    named = models.BooleanField(default=False, help_text="The receipt gives the person's name.")
    salt = models.CharField(max_length=32, default=new_salt, editable=False)
    exclusion = models.ForeignKey(Exclusion, models.SET_NULL, related_name="+", null=True)
    answers = models.PositiveIntegerField(default=0, help_text="Current answers when it was recorded.")
    reached = models.JSONField(default=list)
    erased = models.JSONField(default=dict)
    erased_at = models.DateTimeField(null=True, blank=True)
    files_removed_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True, help_text="When the person consented again.")
    receipt = models.TextField(blank=True)
    signature = models.CharField(max_length=100, blank=True)
    public_key = models.TextField(blank=True, help_text="PEM; of the key that signed.")
    receipted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["project", "person"], condition=Q(ended_at=None), name="withdrawal_once"),
            models.CheckConstraint(condition=Q(mode__in=["exclude", "erase"]), name="withdrawal_mode"),
            models.CheckConstraint(
                condition=Q(receipt="", signature="", receipted_at=None)
                | (~Q(receipt="") & ~Q(signature="") & Q(receipted_at__isnull=False)),
                name="withdrawal_receipt",
            ),
        ]

    def __str__(self) -> str:
        return f"withdrawal {self.pk}"

    @property
    def is_erasing(self) -> bool:
        return self.mode == self.Mode.ERASE

    @property
    def dataset_ids(self) -> list[int]:
        """The dataset versions that contained the person's answers."""
        return [row["dataset"] for row in self.reached]


class DatasetRemoval(models.Model):
    """The tombstone of a dataset version's files: `files` is {name: {"sha256", "bytes"}} of each as it was frozen.

    The version's row, its sha256 and its manifest stay: they prove what was frozen without its texts.
    """

    dataset = models.OneToOneField(DatasetVersion, models.PROTECT, related_name="removal")
    withdrawal = models.ForeignKey(Withdrawal, models.PROTECT, related_name="removals")
    files = models.JSONField()
    at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"removal of dataset {self.dataset_id}"


class DatasetSuccessor(models.Model):
    """The version that was frozen in place of an older one, with the same options and without withdrawn answers."""

    dataset = models.OneToOneField(DatasetVersion, models.PROTECT, related_name="succession")
    successor = models.ForeignKey(DatasetVersion, models.PROTECT, related_name="predecessions")
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(dataset=models.F("successor")), name="dataset_successor_is_another")
        ]

    def __str__(self) -> str:
        return f"dataset {self.successor_id} supersedes {self.dataset_id}"


class EventRedaction(models.Model):
    """A recorded event whose texts were erased. `sha256` is that of the event's text as it is now, `was_sha256` as it
    was recorded (see `annotation.core.journal`). A trigger lets an event change to exactly this, to nothing else."""

    # Recorded events are never deleted: the database refuses it without a foreign key.
    event = models.OneToOneField(Event, models.PROTECT, related_name="+", db_constraint=False)
    withdrawal = models.ForeignKey(Withdrawal, models.PROTECT, related_name="+")
    was_sha256 = models.CharField(max_length=64)
    sha256 = models.CharField(max_length=64)
    at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"redaction of event {self.event_id}"


class SealRedaction(models.Model):
    """The hash that a seal's events have since some of them were redacted; the newest of a seal counts. Before, they
    had the hash that the seal says (or the redaction before this one): otherwise nothing was redacted."""

    seal = models.ForeignKey(EventSeal, models.CASCADE, related_name="redactions")
    sha256 = models.CharField(max_length=64)
    at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"redaction of seal {self.seal_id}"
