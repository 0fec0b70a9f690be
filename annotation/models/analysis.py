"""Results of analyses that are too slow for a request: computed by a job, shown with their age."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from annotation.models.project import Project


class Analysis(models.Model):
    """The newest result of one analysis of a project, or none yet. `annotation.analyses.results` describes `result`."""

    class Name(models.TextChoices):
        TRUST = "trust", "Can we trust it?"
        PEOPLE = "people", "Who needs something?"

    project = models.ForeignKey(Project, models.CASCADE, related_name="analyses")
    name = models.CharField(max_length=20, choices=Name.choices)
    version = models.PositiveSmallIntegerField(help_text="Of the algorithm; an older one is due again.")
    result = models.JSONField()
    covers = models.JSONField(help_text="Counts of work and exclusions when it read the answers.")
    computed_at = models.DateTimeField()
    seconds = models.FloatField(help_text="How long it took, with the others of its project.")

    class Meta:
        verbose_name_plural = "analyses"
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="analysis_once")]

    def __str__(self) -> str:
        return f"{self.name} of project {self.project_id}"


class AnalysisRows(models.Model):
    """The slots behind one number of an analysis, newest first: all `count` of them, or the newest ones."""

    analysis = models.ForeignKey(Analysis, models.CASCADE, related_name="rows")
    key = models.CharField(max_length=500, help_text="Of the number; see `annotation.analyses.results`.")
    count = models.PositiveIntegerField()
    assignments = ArrayField(models.BigIntegerField())

    class Meta:
        verbose_name_plural = "analysis rows"
        constraints = [models.UniqueConstraint(fields=["analysis", "key"], name="analysis_rows_once")]

    def __str__(self) -> str:
        return f"rows {self.key}"
