"""Submitted answers and drafts."""

from django.db import models
from django.db.models import Q

from annotation.models.guideline import Guideline
from annotation.models.project import WeightSet
from annotation.models.task import Assignment, Kind, Task
from annotation.models.user import User


class Annotation(models.Model):
    """What an annotator submitted. A later edit is a new version; older versions are kept, with `is_current` false.

    `payload` is the JSON of `annotation.kinds.<kind>.payload`. Candidates are named by id, never by the side on which
    they were shown:
      writing      {"text": str}
      postediting  {"candidate": id, "text": str, "unchanged": bool}
      scoring      {"scores": {"<candidate id>": {"<aspect key>": 1…points}}, "comment": str,
                    "spans": {"<candidate id>": [{"start", "end", "category", "severity"}, …]}}
      choosing     {"choice": "one" | "tie" | "both_bad" | "ranking", "chosen": id | null, "shown": [id, …],
                    "strength": 1 | 2 | null, "reasons": [tag name, …],
                    "reasons_by_side": {"<candidate id>": [tag name, …]},
                    "ranking": [[id, …], …], "fixes": {"<candidate id>": str},
                    "spans": {"<candidate id>": [{"start", "end", "quality": "good" | "bad"}, …]}}

    "one" of more than two shown, as in recorded answers: it is better than each of the others. A ranking lists groups
    of equally good candidates, best first; "both_bad" of more than two means all bad. A fix is the text of a candidate
    as edited along with a choice: of the best, or of any where none is preferred.
    A span counts Unicode code points of the candidate's text: `start` is its first, `end` the one after its last.
    Severities are those of MQM: "neutral", "minor", "major", "critical". Keys that were added later (spans,
    reasons_by_side, ranking, fixes) may be missing, as in answers from before they existed.
    """

    # Two constraints and an index begin with assignment and annotator: no indexes of their own.
    assignment = models.ForeignKey(Assignment, models.PROTECT, related_name="annotations", db_index=False)
    task = models.ForeignKey(Task, models.PROTECT, related_name="annotations")
    annotator = models.ForeignKey(User, models.PROTECT, related_name="annotations", db_index=False)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    version = models.PositiveSmallIntegerField(default=1)
    is_current = models.BooleanField(default=True)
    payload = models.JSONField()
    guideline = models.ForeignKey(Guideline, models.PROTECT, related_name="+", null=True)
    weight_set = models.ForeignKey(WeightSet, models.PROTECT, related_name="+", null=True)
    active_seconds = models.FloatField(default=0)
    idle_seconds = models.FloatField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["assignment", "version"], name="annotation_version_once"),
            models.UniqueConstraint(fields=["assignment"], condition=Q(is_current=True), name="annotation_one_current"),
        ]
        indexes = [
            models.Index(fields=["task"], condition=Q(is_current=True), name="annotation_current"),
            # Counts and pages of a person's current answers are read from the index alone.
            models.Index(
                fields=["annotator", "-created_at", "-id"], include=["is_current", "kind"], name="annotation_by_person"
            ),
        ]

    def __str__(self) -> str:
        return f"annotation {self.pk}"


class Draft(models.Model):
    """What an annotator has entered but not submitted; acknowledged only once it is here.

    It belongs to the person and the task, not to the slot: it survives a lease that runs out, and whoever claims the
    slot next never sees it. The payload has the shape of an annotation's; parts may be missing.
    """

    task = models.ForeignKey(Task, models.CASCADE, related_name="drafts")
    annotator = models.ForeignKey(User, models.CASCADE, related_name="drafts")
    payload = models.JSONField()
    saved_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["annotator", "task"], name="draft_once")]

    def __str__(self) -> str:
        return f"draft of task {self.task_id}"
