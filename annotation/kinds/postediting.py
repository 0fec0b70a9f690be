"""Post-editing: the annotator mends a model's text, or accepts it as it is."""

from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from annotation.kinds.presentation import Shown, normal, read_text
from annotation.models import Project
from annotation.text.edit_distance import edits_between

HEADING = gettext_lazy("Mend this text")


def present(shown: Shown, payload: dict[str, Any] | None) -> dict[str, Any]:
    original = normal(shown.sides[0].text)
    translation = shown.project.goal == Project.Goal.TRANSLATION
    return {
        "heading": _("Mend this translation") if translation else _("Mend this answer"),
        "label": _("The translation, to be mended") if translation else _("The answer, to be mended"),
        "original": original,
        "text": (payload or {}).get("text", original),
    }


def read(form: QueryDict, shown: Shown, *, complete: bool = True) -> dict[str, Any]:
    original = shown.sides[0]
    if form.get("unchanged") == "1":
        return {"candidate": original.candidate, "text": original.text, "unchanged": True}
    text = read_text(form, "text", complete=complete, missing=_("The text is empty: mend it, or skip the task."))
    unchanged = text.strip() == normal(original.text).strip()
    if unchanged and complete:
        text = original.text
    return {"candidate": original.candidate, "text": text, "unchanged": unchanged}


def describe(payload: dict[str, Any], texts: dict[int, str], language: str) -> dict[str, Any]:
    original = texts.get(payload["candidate"], "")
    if payload["unchanged"]:
        return {"headline": _("Accepted unchanged"), "text": payload["text"]}
    edits = edits_between(original, payload["text"], language)
    headline = ngettext("{n} edit, HTER {rate}", "{n} edits, HTER {rate}", edits.count)
    return {
        "headline": headline.format(n=edits.count, rate=f"{edits.rate:.0%}"), "text": payload["text"], "edits": edits,
        "original": original,
    }  # fmt: skip
