"""The admin is read-only: the data behind labels changes only through actions, which leave events.

Accounts are the exception: an administrator renames a person, deactivates an account or makes a person staff here.
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
from annotation.web.http import actor
from annotation.web.searching import search_rows

admin.site.site_header = admin.site.site_title = "Konomi administration"
# One way to sign in, with its limit on attempts.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
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


class FoldedSearch(admin.ModelAdmin):
    """Each word of a search is in one of the columns, in the form in which texts are compared.

    Where a column is looked up by its whole value (a leading =), in tables that may be large, the database searches.
    """

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        if any(not field[0].isalpha() for field in self.search_fields):
            return super().get_search_results(request, queryset, search_term)
        for word in search_term.split():
            queryset = search_rows(queryset, word, *self.search_fields)
        return queryset, False


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


def administrator(request: HttpRequest) -> bool:
    return bool(request.user.is_active and request.user.is_superuser)


class LookOnly(FoldedSearch):
    """Rows to find and read; for administrators, since a member of staff need not be a member of the project."""

    list_per_page = 50
    show_full_result_count = False

    def has_module_permission(self, request: HttpRequest) -> bool:
        return administrator(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return administrator(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def look(
    model: type[Model], columns: str, search: str = "", filters: str = "", related: str = "", hidden: str = ""
) -> None:
    """Register a read-only model; the names are separated by blanks."""
    options = {
        "list_display": columns.split(),
        "search_fields": search.split(),
        "list_filter": filters.split(),
        "list_select_related": related.split() or False,
        "exclude": hidden.split(),
    }
    admin.site.register(model, type(f"{model.__name__}Admin", (LookOnly,), options))


look(models.Project, "name slug goal source_language target_language created_at", "name slug", "goal is_demo")
look(models.Membership, "user project role created_at", "user__email project__slug", "role", "user project")
look(
    models.Invitation,
    "id project role email created_by created_at expires_at accepted_by",
    "email project__slug",
    "role",
    "project created_by accepted_by",
    hidden="token",
)
look(models.Guideline, "project version created_by created_at", "project__slug text", related="project created_by")
look(models.Aspect, "project key name position retired_at", "project__slug key name", related="project")
look(models.WeightSet, "project version created_by created_at", "project__slug", related="project created_by")
look(models.ReasonTag, "project name position retired_at", "project__slug name", related="project")
look(models.Import, "id project filename status prompts_added fault_count created_at", "filename", "status", "project")
look(models.Prompt, "id project text source_document held_out", "=external_id =digest", related="project")
look(models.Candidate, "id text origin created_at", "=origin =digest")
look(models.Batch, "id name project kind overlap status created_at", "name project__slug", "kind status", "project")
look(models.Task, "id batch position created_at", "=id", related="batch")
look(models.Assignment, "id task batch slot state annotator", "=annotator__email", "state", "task batch annotator")
look(
    models.Annotation,
    "id kind task annotator version is_current created_at",
    "=annotator__email",
    "kind is_current",
    "task annotator",
)
look(
    models.Exclusion,
    "id project prompt task annotator reason created_by created_at lifted_at",
    "reason =annotator__email project__slug",
    related="project prompt task annotator created_by",
)
look(
    models.DatasetVersion,
    "id project purpose format sha256 train_rows held_out_rows created_at",
    "sha256 project__slug",
    "purpose format",
    "project",
)
look(
    models.Event, "at actor verb object_type object_id project", "verb =object_id actor__email", related="actor project"
)
