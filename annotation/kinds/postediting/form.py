"""The form of a post-edit: one text to edit, or to accept as it is."""

from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _

from annotation.kinds.postediting.payload import PosteditingPayload
from annotation.kinds.presentation import PresentedTask, normal, read_text
from annotation.models import Project


def present(shown: PresentedTask, entered: PosteditingPayload | None) -> dict[str, Any]:
    original = normal(shown.sides[0].text)
    translation = shown.project.goal == Project.Goal.TRANSLATION
    return {
        "heading": _("Edit this translation") if translation else _("Edit this answer"),
        "label": _("Translation to edit") if translation else _("Answer to edit"),
        "original": original,
        "text": original if entered is None else entered.text,
    }


def read(form: QueryDict, shown: PresentedTask, *, complete: bool) -> PosteditingPayload:
    original = shown.sides[0]
    if form.get("unchanged") == "1":
        return PosteditingPayload(candidate=original.candidate, text=original.text, unchanged=True)
    missing = _("The text is empty: edit it, or skip the task.")
    text = read_text(form, "text", complete=complete, missing=missing)
    unchanged = text.strip() == normal(original.text).strip()
    if unchanged and complete:
        text = original.text
    return PosteditingPayload(candidate=original.candidate, text=text, unchanged=unchanged)
