"""The form of a written answer."""

from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _

from annotation.kinds.presentation import PresentedTask, read_text
from annotation.kinds.writing.payload import WritingPayload
from annotation.models import Project


def present(shown: PresentedTask, entered: WritingPayload | None) -> dict[str, Any]:
    translation = shown.project.goal == Project.Goal.TRANSLATION
    return {
        "heading": _("Write the translation") if translation else _("Write the answer"),
        "label": _("Your translation") if translation else _("Your answer"),
        "text": entered.text if entered else "",
    }


def read(form: QueryDict, shown: PresentedTask, *, complete: bool) -> WritingPayload:
    return WritingPayload(text=read_text(form, "text", complete=complete, missing=_("Nothing is written yet.")))
