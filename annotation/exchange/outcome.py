"""What an export left out, in sentences: for the command and the page."""

from collections.abc import Mapping
from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext, gettext_noop, ngettext
from django.utils.translation import gettext as _

from annotation.models import Batch, Kind, Project

# By the names in `source.LINES`.
LEFT_OUT = {
    "checks": gettext_noop("rows of tasks that check people"),
    "batches": gettext_noop("rows of other batches"),
    "kinds": gettext_noop("rows of other kinds"),
    "people": gettext_noop("rows of other people"),
    "times": gettext_noop("rows outside the days"),
    "skips": gettext_noop("skipped tasks"),
    "versions": gettext_noop("replaced or withdrawn versions"),
}
# What no export has.
NEVER = {"drafts": gettext_noop("drafts"), "test answers": gettext_noop("answers of tests")}
STATES = {
    "current": gettext_noop("current answers"),
    "reopened": gettext_noop("answers opened again by their authors"),
    "replaced": gettext_noop("versions that were replaced"),
    "withdrawn": gettext_noop("answers withdrawn by skipping"),
    "skipped": gettext_noop("skipped tasks"),
}


EXCLUDED = {"excluded": gettext_noop("of these rows, excluded from datasets")}


def in_words(counts: Mapping[str, int], words: Mapping[str, str]) -> list[str]:
    """“skipped tasks: 12” for each that there are, in the active language and the order of the words."""
    return [
        _("%(what)s: %(count)s") % {"what": gettext(what), "count": f"{counts[key]:,}"}
        for key, what in words.items()
        if counts.get(key)
    ]


def selection_in_words(project: Project, stored: dict[str, Any]) -> list[str]:
    """What narrows a selection (`Selection.as_dict`), for the list of exports; empty: everything."""
    words: list[str] = []
    if batches := stored["batches"]:
        names = Batch.objects.filter(project=project, pk__in=batches).order_by("pk").values_list("name", flat=True)
        words += list(names[:3])
        if len(batches) > 3:
            count = len(batches) - 3
            words.append(ngettext("%(count)s more batch", "%(count)s more batches", count) % {"count": count})
    words += [str(Kind(kind).label) for kind in stored["kinds"] or ()]
    if people := stored["people"]:
        words.append(ngettext("%(count)s person", "%(count)s people", len(people)) % {"count": len(people)})
    if since := stored["since"]:
        words.append(_("from %(time)s") % {"time": in_site_time(since)})
    if until := stored["until"]:
        words.append(_("until %(time)s") % {"time": in_site_time(until)})
    flags = {
        "current_only": _("only current answers"),
        "without_skips": _("without skipped tasks"),
        "pseudonyms": _("pseudonyms"),
    }
    return words + [sentence for name, sentence in flags.items() if stored[name]]


def in_site_time(stored: str) -> str:
    moment = parse_datetime(stored)
    return date_format(localtime(moment), "SHORT_DATETIME_FORMAT") if moment else stored
