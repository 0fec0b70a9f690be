"""A post-edit in words: how much was edited."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.kinds.postediting.payload import PosteditingPayload
from annotation.text.edit_distance import edits_between


def describe(answer: PosteditingPayload, texts: dict[int, str], language: str) -> dict[str, Any]:
    if answer.unchanged:
        return {"headline": _("Accepted unchanged"), "text": answer.text}
    original = texts.get(answer.candidate, "")
    edits = edits_between(original, answer.text, language)
    if not edits.count:
        headline = _("No visible change")
    elif edits.is_ter:
        headline = ngettext("{n} edit, HTER {rate}", "{n} edits, HTER {rate}", edits.count)
    else:
        headline = ngettext("{n} edit, edit rate {rate}", "{n} edits, edit rate {rate}", edits.count)
    return {
        "headline": headline.format(n=edits.count, rate=f"{edits.rate:.0%}"),
        "text": answer.text,
        "edits": edits,
        "original": original,
    }
