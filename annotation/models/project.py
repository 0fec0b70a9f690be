from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from annotation.models.typology import ERROR_CATEGORIES, TRANSLATION
from annotation.models.user import User


class Role(models.TextChoices):
    ANNOTATOR = "annotator", _("Annotator")
    REVIEWER = "reviewer", _("Reviewer")
    MANAGER = "manager", _("Manager")


def mqm_core() -> list[str]:
    """The error categories of a row that names none: those of a translation. Migrations refer to this function."""
    return list(ERROR_CATEGORIES[TRANSLATION])


def site_time_zone() -> str:
    """The zone of a project that names none. Migrations refer to this function."""
    return str(settings.TIME_ZONE)


class Project(models.Model):
    """One goal, one guideline, one pair of languages or one persona."""

    class Goal(models.TextChoices):
        TRANSLATION = "translation", _("Translation between two languages")
        PERSONA = "persona", _("Replies of a persona")

    slug = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=120)
    goal = models.CharField(max_length=16, choices=Goal.choices)
    source_language = models.CharField(max_length=20, help_text="BCP 47 tag of the prompts, such as en or ja.")
    target_language = models.CharField(max_length=20, help_text="BCP 47 tag of the answers, such as ja.")
    persona = models.TextField(
        blank=True, help_text="Who answers, and how. The model gets it as the system message of every prompt."
    )
    default_overlap = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1), MaxValueValidator(50)], help_text="How many people do each task."
    )
    held_out_share = models.FloatField(
        default=0.1,
        validators=[MinValueValidator(0.0), MaxValueValidator(0.9)],
        help_text="Share of the source documents whose prompts are kept for evaluation and never trained on.",
    )
    lease_minutes = models.PositiveSmallIntegerField(
        default=60,
        validators=[MinValueValidator(1)],
        help_text="A claimed task without activity returns to the queue after this time.",
    )
    edit_hours = models.PositiveSmallIntegerField(
        default=24, help_text="How long an answer may be changed after it was submitted; 0: not at all."
    )
    idle_minutes = models.PositiveSmallIntegerField(
        default=5,
        validators=[MinValueValidator(1), MaxValueValidator(120)],
        help_text="After this time without activity, time counts as idle and the page asks.",
    )
    avoid_seen = models.BooleanField(
        default=False, help_text="Nobody gets a prompt that they have had in another batch."
    )
    show_total = models.BooleanField(default=False, help_text="Annotators who score see the weighted total.")
    reasons_by_side = models.BooleanField(default=False, help_text="Reason tags are given for each side.")
    error_categories = ArrayField(
        models.CharField(max_length=60),
        default=mqm_core,
        blank=True,
        help_text="What kinds of error can be marked in a text that is scored. Empty: none are marked.",
    )
    review_share = models.PositiveSmallIntegerField(
        default=0,
        validators=[MaxValueValidator(100)],
        help_text="Percent of each person's answers that reviewers get as a random sample.",
    )
    review_anonymous = models.BooleanField(
        default=False, help_text="Reviewers do not see who answered, nor annotators who reviewed."
    )
    check_rules = models.JSONField(
        default=dict,
        blank=True,
        help_text="{measure: {action: share}}: below which share a manager is asked; see `annotation.checks.rules`.",
    )
    adjudicate_below = models.PositiveSmallIntegerField(
        default=100,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text="A task comes up for adjudication if, on one of its questions, fewer percent of its annotators gave "
        "the most common answer. 100: any difference.",
    )
    agreement_floor = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="Krippendorff's alpha below which datasets warn. Empty: they do not.",
    )
    shows_own_figures = models.BooleanField(
        default=False, help_text="Annotators see their own figures, and what their work changed."
    )
    time_zone = models.CharField(
        max_length=60,
        default=site_time_zone,
        help_text="Where a day begins and ends: for time sheets, dashboards and cost. A name such as Asia/Tokyo.",
    )
    currency = models.CharField(
        max_length=3, default="", blank=True, help_text="ISO 4217 code of rates and budget, such as EUR or JPY."
    )
    budget = models.DecimalField(
        max_digits=14, decimal_places=2, null=True, blank=True, help_text="What annotation may cost in all."
    )
    is_demo = models.BooleanField(default=False)
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)
    members = models.ManyToManyField(
        User, through="Membership", through_fields=("project", "user"), related_name="projects"
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(default_overlap__gte=1), name="project_overlap_positive"),
            models.CheckConstraint(
                condition=models.Q(held_out_share__gte=0, held_out_share__lt=1), name="project_held_out_share"
            ),
            models.CheckConstraint(condition=models.Q(review_share__lte=100), name="project_review_share"),
            models.CheckConstraint(
                condition=models.Q(adjudicate_below__gte=1, adjudicate_below__lte=100), name="project_adjudicate_below"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    project = models.ForeignKey(Project, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role.choices)
    created_at = models.DateTimeField(auto_now_add=True)
    paused_at = models.DateTimeField(null=True, blank=True, help_text="Since when they get no further tasks.")
    paused_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True, blank=True)
    paused_reason = models.CharField(max_length=500, blank=True, help_text="The person sees it.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "user"], name="membership_once"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="membership_role"),
        ]

    def __str__(self) -> str:
        return f"{self.user} as {self.role}"

    @property
    def is_paused(self) -> bool:
        return self.paused_at is not None


class Aspect(models.Model):
    """One question of a scoring task, with a sentence for each point of its scale."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="aspects")
    key = models.SlugField(max_length=40)
    name = models.CharField(max_length=80)
    question = models.CharField(max_length=300, blank=True)
    anchors = models.JSONField(help_text="A sentence for each point, from 1 up: 2 to 9 of them.")
    position = models.PositiveSmallIntegerField(default=0)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["position", "id"]
        constraints = [models.UniqueConstraint(fields=["project", "key"], name="aspect_key_once")]

    def __str__(self) -> str:
        return self.name

    @property
    def points(self) -> int:
        return len(self.anchors)


class WeightSet(models.Model):
    """How much each aspect counts, as one version; labels name the version that held when they were given."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="weight_sets")
    version = models.PositiveIntegerField()
    weights = models.JSONField(help_text='{"aspect key": weight, …}, weights of 0 or more.')
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-version"]
        constraints = [models.UniqueConstraint(fields=["project", "version"], name="weight_set_version_once")]

    def __str__(self) -> str:
        return f"weights {self.version}"


class ReasonTag(models.Model):
    """A word that says why one alternative is better."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="reason_tags")
    name = models.CharField(max_length=40)
    position = models.PositiveSmallIntegerField(default=0)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["position", "id"]
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="reason_tag_once")]

    def __str__(self) -> str:
        return self.name
