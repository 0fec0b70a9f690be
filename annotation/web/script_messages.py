"""The words that the scripts of the annotation pages say. A page carries them translated, as data (`words` in its
context, written by `json_script`): scripts hold no words of their own. "{n}" and other names in braces are filled in
by the script; a counted phrase has two entries, `….one` and `….other`."""

import time
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from annotation.models import User

WORDS: dict[str, str | Promise] = {
    # ---- the frame ----
    "panel.loading": _("Loading…"),
    "panel.failed": _("This could not be loaded. Close it and open it again."),
    "panel.unsent": _("Not sent: the server did not answer. What you wrote is still here; please send it again."),
    "keys.submit": _("Submit"),
    "keys.leave": _("Leave a text field, close a panel"),
    "keys.kept": _("Kept, for every device on which you sign in."),
    "keys.unkept": _("Changed on this page only: the server does not answer."),
    "action.failed": _("No answer from the server. Try again."),
    # ---- drafts and submitting ----
    "draft.saving": _("Saving…"),
    "draft.saved": _("Saved"),
    "draft.restored": _("Restored from this browser, where it was kept"),
    "draft.offline": _("Offline: kept here"),
    "draft.waiting": _("No answer from the server: kept here, trying again"),
    "draft.unkept": _("Not saved: no connection, and this browser keeps nothing. Leave the page open."),
    "draft.session": _("Signed out: kept here"),
    "draft.refused": _("The server does not take this: the task is not in your hand any more. Reload the page."),
    "draft.large": _("Too long to be saved: shorten it."),
    "submit.sending": _("Sending…"),
    "submit.offline": _("Offline: your answer is kept here and goes off by itself once you are connected"),
    "submit.waiting": _("No answer from the server: your answer is kept here and sent again by itself"),
    # ---- signing in again ----
    "session.sending": _("Signing in…"),
    "session.failed": _("No answer from the server. Try again."),
    "session.often": _("Too many attempts. Wait a few minutes, or sign in in a new tab; this page goes on by itself."),
    "session.elsewhere": _("The sign-in asks for more. Finish it in a new tab; this page goes on by itself."),
    # ---- the veil ----
    "veil.idle.title": _("Still working?"),
    "veil.idle.text": _(
        "Nothing happened for {minutes} minutes, so the time counts as idle. Any key or click goes on, "
        "and does nothing else."
    ),
    "veil.pause.title": _("Paused"),
    "veil.pause.text": _("Until you go on, the time counts as idle. Any key or click goes on, and does nothing else."),
    "veil.today": _("Active today: {hours} h {minutes} min"),
    # ---- judging ----
    "score.turn": _("Score the aspect in turn"),
    "mark.note": _(" (mark {n}: {what})"),
    "mark.added": _("Mark {n}: {what}"),
    "mark.removed": _("Mark {n} is removed"),
    "mark.remove": _("Remove"),
    "mark.remove_one": _("Remove mark {n}"),
    "mark.walking": _("Marking in text {text}:"),
    "rank.place": _("Place {n}: {who}"),
    "rank.none": _("Nothing has a place"),
    "rank.token": _("{letter}: arrow keys move it"),
    "differ.one": _("{n} place differs"),
    "differ.other": _("{n} places differ"),
    "differ.off": _("Differences are hidden"),
    "differ.late": _("These texts are too long to compare here"),
    # ---- editing: writing and post-editing ----
    "edits.one": _("{n} edit"),
    "edits.other": _("{n} edits"),
    "edits.words": _("{edits} · HTER {rate} %"),
    "edits.characters": _("{edits} · HTER {rate} %, counted by characters"),
    "edits.none": _("As it was"),
    "edits.toolong": _("Too long and too different to compare while you type: it is counted when you submit."),
    "reference.inserted": _("Inserted."),
    "reference.failed": _("Glossary and similar texts could not be loaded."),
    "check.spaces": _("There are two blanks in a row."),
    "check.brackets": _("A bracket {pair} is not opened or not closed."),
    "check.untranslated": _("This is the text itself, not translated yet."),
    "check.placeholder.missing": _("{text} stands in the text and is missing here."),
    "check.placeholder.extra": _("{text} does not stand in the text."),
    "check.number": _("The number {text} of the text is missing or another one here."),
    "check.end.missing": _("The text ends with a punctuation mark, and this does not."),
    "check.end.extra": _("This ends with {sign}, and the text does not."),
    "check.end.script": _("This ends with {sign}; in this language it is {right}"),
    "check.end.question": _("The text asks a question, and this does not."),
    "check.end.statement": _("This asks a question, and the text does not."),
    # xgettext:no-python-format
    "check.long": _("This is long for its text: {percent} % of what is usual."),
    # xgettext:no-python-format
    "check.short": _("This is short for its text: {percent} % of what is usual."),
    "check.term": _("The glossary puts “{term}” as “{target}”."),
}


def words() -> dict[str, str]:
    """All of them, in the language of the request."""
    return {key: str(word) for key, word in WORDS.items()}


def page_person(user: User) -> dict[str, Any]:
    """Whose page it is, for its scripts: what a browser keeps for one person it never shows to another."""
    return {
        "user": user.pk, "email": user.email, "moved": user.keys, "single": user.single_keys,
        "now": int(time.time() * 1000),
    }  # fmt: skip
