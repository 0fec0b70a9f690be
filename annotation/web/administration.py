"""What the administration pages of all apps share: rows to search and read, and the progress of projects in front."""

from typing import Any, cast

from django.contrib import admin
from django.db.models import ForeignKey, Model
from django.http import HttpRequest
from django.template.response import TemplateResponse

from annotation.core.access import projects_of
from annotation.queue.progress import project_states
from annotation.web.http import SignedInRequest
from annotation.web.searching import search_rows


def administrator(request: HttpRequest) -> bool:
    return bool(request.user.is_active and request.user.is_superuser)


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


def look(model: type[Model], columns: str, search: str, filters: str = "", *, hidden: str = "") -> None:
    """Register a read-only model; the names are separated by blanks.

    Related rows that a column shows are read with the list. A model of a project can be filtered by it.
    """
    related = [name for name in columns.split() if isinstance(model._meta.get_field(name), ForeignKey)]
    of_project = ["project"] if "project" in {field.name for field in model._meta.get_fields()} else []
    options = {
        "list_display": columns.split(),
        "search_fields": search.split(),
        "list_filter": [*filters.split(), *of_project],
        "list_select_related": related or False,
        "exclude": hidden.split(),
    }
    admin.site.register(model, type(f"{model.__name__}Admin", (LookOnly,), options))


def show_progress(site: admin.AdminSite) -> None:
    """Put the progress of the projects that the person sees on the site's front page: of all, for an administrator."""
    front = site.index

    def index(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        projects = projects_of(cast("SignedInRequest", request).user).filter(archived_at=None).order_by("name")
        return front(request, {**(extra_context or {}), "states": project_states(projects)})

    site.index = index  # type: ignore[method-assign]
    site.index_template = "administration/index.html"
