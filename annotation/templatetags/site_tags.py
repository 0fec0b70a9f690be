"""Template tags of the whole site: the project navigation, names of any script inside sentences, and the direction of
texts."""

from typing import Any

from django import template
from django.template import Context
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from annotation.core.access import STAFF, role_in
from annotation.models import Project, Role
from annotation.text import extracts, languages

register = template.Library()

# (section, label, URL name, roles that see it)
SECTIONS = [
    ("progress", _("Progress"), "project", (Role.ANNOTATOR, *STAFF)),
    ("guideline", _("Guideline"), "guideline", (Role.ANNOTATOR, *STAFF)),
    ("prompts", _("Prompts"), "prompts", (Role.MANAGER,)),
    ("datasets", _("Datasets"), "datasets", STAFF),
    ("runs", _("Runs"), "runs", STAFF),
    ("checkpoints", _("Checkpoints"), "checkpoints", STAFF),
    ("rounds", _("Rounds"), "rounds", STAFF),
    ("settings", _("Settings"), "project_settings", (Role.MANAGER,)),
]


@register.filter
def isolated(text: object) -> SafeString:
    """A name inside a sentence of ours, isolated so that right-to-left letters do not reorder the sentence."""
    return format_html("<bdi>{}</bdi>", text)


@register.filter
def extract(text: str, limit: int = extracts.LIST_LIMIT) -> str:
    """The beginning of a text in a list: what a page costs must not grow with what people wrote."""
    return extracts.extract(text, limit)


@register.filter
def direction(language: str) -> str:
    """The `dir` of a text in the language: rtl or ltr, and auto where the language is unknown. A text in a known
    language may begin with a word of another, and an empty editor with none."""
    return languages.direction(language)


@register.inclusion_tag("components/project_nav.html", takes_context=True)
def project_nav(context: Context, project: Project, section: str = "") -> dict[str, Any]:
    """The project's sections that this person may open; `section` is the current one. A page that knows this person's
    role has it in its context as `own_role`."""
    role = context["own_role"] if "own_role" in context else role_in(context["request"].user, project)
    sections = [
        {"label": label, "url": url, "current": key == section} for key, label, url, roles in SECTIONS if role in roles
    ]
    return {"project": project, "sections": sections, "role": role}
