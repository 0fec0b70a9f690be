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
    "reference.inserted": _("Inserted."),
    "reference.failed": _("Glossary and similar texts could not be loaded."),
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
