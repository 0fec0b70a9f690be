from django.db import models
from django.utils.translation import gettext_lazy as _

from annotation.models.project import Project
from annotation.models.user import User


class Import(models.Model):
    """One file that was read into a project, or refused."""

    class Status(models.TextChoices):
        UPLOADED = "uploaded", _("Columns not confirmed yet")
        QUEUED = "queued", _("Waiting")
        RUNNING = "running", _("Reading")
        DONE = "done", _("Done")
        REFUSED = "refused", _("Refused")
        FAILED = "failed", _("Failed")

    project = models.ForeignKey(Project, models.CASCADE, related_name="imports")
    filename = models.CharField(max_length=255)
    path = models.CharField(max_length=500, blank=True, help_text="Where the upload waits, below var/uploads.")
    sha256 = models.CharField(max_length=64, blank=True)
    mapping = models.JSONField(default=dict)
    keep_good = models.BooleanField(default=False)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.QUEUED)
    rows_read = models.PositiveIntegerField(default=0)
    share_read = models.FloatField(default=0, help_text="How much of the file has been read, 0 to 1.")
    prompts_added = models.PositiveIntegerField(default=0)
    candidates_added = models.PositiveIntegerField(default=0)
    faults = models.JSONField(default=list, help_text="The first 50 faults: {row, column, message}.")
    fault_count = models.PositiveIntegerField(default=0)
    faults_path = models.CharField(max_length=500, blank=True, help_text="The file with all faults, below var.")
    rest_path = models.CharField(max_length=500, blank=True, help_text="The rows that were not kept, below var.")
    report = models.JSONField(default=dict, help_text="What was merged or not read: see `annotation.importing.report`.")
    error = models.TextField(blank=True)
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.filename


class Prompt(models.Model):
    """What a model is asked: a source sentence, a review, a chat.

    `messages` is set for a chat of several turns ([{"role", "content"}, …]); otherwise `text` is the one user turn.
    """

    # Each index slows an import: prompt_of_project begins with the project, and nobody asks for an import's prompts.
    project = models.ForeignKey(Project, models.CASCADE, related_name="prompts", db_index=False)
    text = models.TextField()
    messages = models.JSONField(null=True, blank=True)
    reference = models.TextField(blank=True, help_text="A text known to be good, where there is one.")
    external_id = models.CharField(max_length=200, blank=True)
    source_document = models.CharField(max_length=300, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    digest = models.CharField(max_length=64, help_text="sha256 of the messages as they are.")
    reads_as = models.CharField(
        max_length=64,
        default="",
        db_default="",
        help_text="sha256 of the messages in their normal form: equal for what reads the same.",
    )
    distinction = models.CharField(
        max_length=64,
        default="",
        db_default="",
        blank=True,
        help_text="sha256 of what tells it apart from prompts that read the same: document, context and id.",
    )
    held_out = models.BooleanField(default=False)
    # Where it comes from, for information: no key check for each of 100,000 prompts.
    imported_in = models.ForeignKey(
        Import, models.SET_NULL, related_name="+", null=True, db_index=False, db_constraint=False
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "reads_as", "distinction"], condition=~models.Q(reads_as=""), name="prompt_once"
            ),
            models.UniqueConstraint(
                fields=["project", "external_id"], condition=~models.Q(external_id=""), name="prompt_external_id_once"
            ),
        ]
        indexes = [
            # A page of the newest prompts, of either side, however many other projects have.
            models.Index(fields=["project", "id"], include=["held_out"], name="prompt_of_project"),
            models.Index(
                fields=["project", "source_document"], condition=~models.Q(source_document=""), name="prompt_document"
            ),
        ]

    def __str__(self) -> str:
        return self.text[:60]


class Candidate(models.Model):
    """One text that answers a prompt. Its origin is opaque here: checkpoint:<id>, import:<name> or human:<id>.

    A text that was damaged to check people (`damaged:<rule>`, see `TaskCheck`) belongs to no prompt: whatever reads a
    prompt's candidates never meets it.
    """

    # candidate_once begins with it
    prompt = models.ForeignKey(Prompt, models.CASCADE, related_name="candidates", db_index=False, null=True)
    text = models.TextField()
    origin = models.CharField(max_length=200)
    digest = models.CharField(max_length=64, help_text="sha256 of the text.")
    generation = models.JSONField(default=dict, blank=True, help_text="How it was made: temperature, seed, index …")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["prompt", "origin", "digest"], name="candidate_once"),
            models.CheckConstraint(
                condition=models.Q(prompt__isnull=False) | models.Q(origin__startswith="damaged:"),
                name="candidate_of_prompt",
            ),
        ]
        # Texts of checkpoints and of people are looked up by their origin. Those of files (`import:` comes last), which
        # most prompts of a project have, never are without their prompts: an import does not write this index.
        indexes = [
            models.Index(fields=["origin", "prompt"], condition=models.Q(origin__lt="import:"), name="candidate_origin")
        ]

    def __str__(self) -> str:
        return self.text[:60]
