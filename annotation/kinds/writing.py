"""Writing: the annotator writes the answer, with nothing but the prompt to go by."""

from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.kinds.presentation import Shown, read_text
from annotation.models import Project

HEADING = gettext_lazy("Write the answer")


def present(shown: Shown, payload: dict[str, Any] | None) -> dict[str, Any]:
    translation = shown.project.goal == Project.Goal.TRANSLATION
    return {
        "heading": _("Write the translation") if translation else HEADING,
        "label": _("Your translation") if translation else _("Your answer"),
        "text": (payload or {}).get("text", ""),
    }


def read(form: QueryDict, shown: Shown, *, complete: bool = True) -> dict[str, Any]:
    return {"text": read_text(form, "text", complete=complete, missing=_("Nothing is written yet."))}


def describe(payload: dict[str, Any], texts: dict[int, str], language: str) -> dict[str, Any]:
    return {"headline": _("Written"), "text": payload["text"]}
