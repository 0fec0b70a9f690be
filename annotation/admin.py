"""The administration of the site: accounts, and every table of annotation to search and read.

Accounts are the only rows that change here: an administrator renames a person, deactivates an account or makes a person
staff. The data behind labels changes only through actions, which leave events.
"""

from typing import Any

import allauth.account.admin  # noqa: F401 - registers what is unregistered below
from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.db.models import Model
from django.http import HttpRequest

from annotation import models
from annotation.core.events import record
from annotation.web.administration import FoldedSearch, administrator, look, show_progress
from annotation.web.http import actor

admin.site.site_header = admin.site.site_title = "Konomi administration"
# One way to sign in, with its limit on attempts.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
show_progress(admin.site)
admin.site.unregister(Group)
admin.site.unregister(EmailAddress)


class AccountCreationForm(AdminUserCreationForm):
    class Meta(AdminUserCreationForm.Meta):
        model = models.User
        fields = ("email", "name")
        field_classes = {}


class AccountChangeForm(UserChangeForm):
    class Meta(UserChangeForm.Meta):
        model = models.User
        fields = "__all__"
        field_classes = {}

    def clean_email(self) -> str:
        return str(self.cleaned_data["email"]).lower()


class MembershipInline(admin.TabularInline):
    model = models.Membership
    fk_name = "user"
    extra = 0
    raw_id_fields = ("project",)
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(models.User)
class AccountAdmin(FoldedSearch, UserAdmin):
    form = AccountChangeForm
    add_form = AccountCreationForm
    list_display = ("email", "name", "is_active", "is_staff", "is_superuser", "is_simulated", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser", "is_simulated")
    search_fields = ("email", "name")
    ordering = ("email",)
    readonly_fields = ("last_login", "date_joined")
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        ("May", {"fields": ("is_active", "is_staff", "is_superuser", "is_simulated")}),
        ("When", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "name", "usable_password", "password1", "password2")}),)
    inlines = (MembershipInline,)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False  # labels need their authors: deactivate an account instead

    def has_module_permission(self, request: HttpRequest) -> bool:
        return administrator(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return administrator(request)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return administrator(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return administrator(request)

    def save_model(self, request: HttpRequest, obj: models.User, form: forms.ModelForm, change: bool) -> None:
        """The change and its event are one transaction: Django's admin opens it around every save."""
        shown = [name for name in form.changed_data if "password" not in name and hasattr(obj, name)]
        before = {name: form.initial.get(name) for name in shown} if change else None
        super().save_model(request, obj, form, change)
        after = {name: getattr(obj, name) for name in shown}
        verb = "user.changed" if change else "user.created"
        record(verb=verb, target=obj, actor=actor(request), project=None, before=before, after=after)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        if "password" in str(message).lower():
            record(verb="user.password_set", target=obj, actor=actor(request), project=None)
        return super().log_change(request, obj, message)


look(
    models.Project, "name slug goal source_language target_language created_at archived_at", "name slug", "goal is_demo"
)
look(models.Membership, "user project role paused_at created_at", "user__email project__slug", "role")
look(
    models.Invitation,
    "id project role email created_by created_at expires_at accepted_by",
    "email project__slug",
    "role",
    hidden="token",
)
look(models.WeeklySummary, "user project language sent_for created_at", "user__email project__slug")
look(models.Message, "id project member author created_at read_at", "=member__email =author__email project__slug")
look(models.PayRate, "project annotator unit amount since", "annotator__email project__slug", "unit")

look(models.Guideline, "project version created_by created_at", "project__slug text")
look(models.GuidelineReading, "user project guideline read_at", "user__email project__slug")
look(models.Aspect, "project key name position retired_at", "project__slug key name")
look(models.WeightSet, "project version created_by created_at", "project__slug")
look(models.ReasonTag, "project name position retired_at", "project__slug name")
look(models.GlossaryTerm, "source target project created_by created_at", "source target project__slug")
look(models.MemoryEntry, "id project task author created_at", "=author__email =task__id", hidden="grams")

look(models.Import, "id project filename status prompts_added fault_count created_at", "filename", "status")
look(models.Prompt, "id project text source_document held_out", "=id =external_id =digest", "held_out")
look(models.Candidate, "id text origin created_at", "=id =origin =digest")

look(models.Batch, "id name project kind overlap status created_at", "name project__slug", "kind status")
look(models.Task, "id batch position created_at", "=id =prompt__id")
look(models.Assignment, "id task batch slot state annotator", "=id =task__id =annotator__email", "state")
look(models.QueueCursor, "annotator batch priority position", "=annotator__email")
look(models.Draft, "id task annotator saved_at", "=task__id =annotator__email")
look(
    models.Annotation,
    "id kind task annotator version is_current created_at",
    "=id =task__id =annotator__email",
    "kind is_current",
)
look(models.TimeSpent, "annotator assignment active_seconds idle_seconds began_at seen_at", "=annotator__email")
look(models.WorkClock, "annotator credit granted at", "annotator__email")
look(models.SlotCount, "batch state slots is_sum", "=batch__id", "state")
look(models.WorkCount, "batch annotator day hour answered skipped active_seconds", "=annotator__email =batch__id")
look(models.PromptCount, "project held_out prompts is_sum", "project__slug", "held_out")
look(models.CandidateCount, "project origin candidates is_sum", "=origin")
look(models.Remark, "id kind task author created_at answered_by answered_at", "=author__email =task__id", "kind")
look(
    models.Exclusion,
    "id project prompt task annotator reason created_by created_at lifted_at",
    "reason =annotator__email project__slug",
)

look(
    models.Review,
    "id annotation batch reviewer verdict first_pass created_at",
    "=annotation__id =reviewer__email",
    "verdict",
)
look(models.ReviewClaim, "annotation project reviewer claimed_at leased_until", "=reviewer__email project__slug")
look(
    models.Adjudication,
    "id task batch adjudicator cause chosen created_at",
    "=task__id =adjudicator__email",
    "cause",
)
look(models.AdjudicationClaim, "task project reviewer claimed_at leased_until", "=reviewer__email project__slug")
look(models.TaskDoubt, "task project doubt", "=task__id project__slug")
look(models.Gold, "id project kind prompt source retired_at", "=prompt__id project__slug", "kind")
look(models.TaskCheck, "task batch what gold of_task damage", "=task__id =batch__id", "what damage")
look(
    models.CheckProposal,
    "id project annotator action measure created_at decided_at confirmed",
    "=annotator__email project__slug",
    "action measure",
)
look(models.TaskArm, "task batch arm", "=task__id =batch__id", "arm")
look(models.PairMargin, "prompt one other margin origin computed_at", "=prompt__id origin project__slug")
look(models.GuidelineClause, "id project status created_by created_at", "=id text project__slug", "status")
look(models.TrialPerson, "clause annotator arm", "=clause__id =annotator__email", "arm")
look(models.Qualification, "id project name kind pass_share retired_at", "name project__slug", "kind")
look(models.QualificationItem, "qualification position prompt", "=qualification__id")
look(models.QualificationAttempt, "qualification user number share passed finished_at", "=user__email", "passed")

look(
    models.DatasetVersion,
    "id project purpose format sha256 train_rows held_out_rows created_at",
    "sha256 project__slug",
    "purpose format",
)
look(
    models.AnswerExport, "id project format status rows_written created_by created_at", "project__slug", "format status"
)
look(models.Plan, "name project batch created_by created_at", "name project__slug")
look(models.Analysis, "project name computed_at seconds", "project__slug", "name")
look(models.AnalysisRows, "analysis key count", "=key", hidden="assignments")
look(models.Event, "at actor verb object_type object_id project", "verb =object_id actor__email", "at")
look(models.EventSeal, "project number sha256 created_at", "=sha256 project__slug", hidden="event_ids")
look(models.EventRedaction, "event withdrawal was_sha256 at", "=event__id")
look(models.SealRedaction, "seal sha256 at", "=seal__id")
look(models.DatasetSuccessor, "dataset successor created_by at", "=dataset__id")
look(models.DatasetRemoval, "dataset withdrawal at", "=dataset__id")
look(
    models.Withdrawal,
    "id project person mode answers recorded_by at ended_at receipted_at",
    "=person__email project__slug",
    "mode",
    hidden="salt",
)
