from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models

from annotation.models.project import Project
from annotation.models.task import Task
from annotation.models.user import User


class GlossaryTerm(models.Model):
    """The preferred translation of a term of the prompts' language."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="glossary")
    source = models.CharField(max_length=200)
    target = models.CharField(max_length=200)
    note = models.CharField(max_length=300, blank=True)
    folded = models.TextField(help_text="The source as it is looked for: see `annotation.text.typography`.")
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["source", "target"]
        constraints = [models.UniqueConstraint(fields=["project", "source", "target"], name="glossary_term_once")]

    def __str__(self) -> str:
        return f"{self.source} → {self.target}"


class MemoryEntry(models.Model):
    """A text that a person wrote or edited and what it answers, to be found again by what is similar to it.

    `grams` are a sketch of the source's character n-grams in 32-bit numbers, the project's id hashed in: one index
    serves all projects and finds nothing across them (see `reference.translation_memory`). Written with the answer,
    replaced with its next version.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    task = models.ForeignKey(Task, models.CASCADE, related_name="+")
    author = models.ForeignKey(User, models.PROTECT, related_name="+")
    source = models.TextField()
    target = models.TextField()
    grams = ArrayField(models.IntegerField())
    created_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "memory entries"
        constraints = [models.UniqueConstraint(fields=["author", "task"], name="memory_entry_once")]
        # Without fastupdate: each look-up would scan the list of what is not in the index yet.
        indexes = [GinIndex(fields=["grams"], name="memory_grams", fastupdate=False)]

    def __str__(self) -> str:
        return f"memory of task {self.task_id}"
