"""Messages for the annotation scripts, translated on the server.

A page carries them as data (`script_messages` in its context, written by `json_script`), so that scripts hold no
sentences of their own. The script fills in "{n}" and other names in braces; a counted phrase has two entries, `….one`
and `….other`.
"""

import time
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from annotation.models import User

MESSAGES: dict[str, str | Promise] = {
    # ---- the frame ----
    "panel.loading": _("Loading…"),
    "panel.failed": _("Could not load this. Close it and open it again."),
    "panel.unsent": _("Not sent: the server did not respond. Your text is still here; please send it again."),
    "keys.submit": _("Submit"),
    "keys.leave": _("Leave a text field, close a panel"),
    "keys.kept": _("Saved for every device where you sign in."),
    "keys.unkept": _("Changed on this page only: the server is not responding."),
    "action.failed": _("The server is not responding. Try again."),
    # ---- drafts and submitting ----
    "draft.saving": _("Saving…"),
    "draft.saved": _("Saved"),
    "draft.restored": _("Restored from this browser"),
    "draft.offline": _("Offline: saved in this browser"),
    "draft.waiting": _("The server is not responding: saved in this browser, retrying"),
    "draft.unkept": _("Not saved: no connection, and this browser blocks local storage. Leave the page open."),
    "draft.session": _("Signed out: saved in this browser"),
    "draft.refused": _("Not saved: you no longer hold this task. Reload the page."),
    "draft.large": _("Too long to save. Shorten it."),
    "submit.sending": _("Sending…"),
    "submit.offline": _("Offline: your answer is saved in this browser and will be sent when you are connected"),
    "submit.waiting": _("The server is not responding: your answer is saved in this browser and will be sent again"),
    # ---- signing in again ----
    "session.sending": _("Signing in…"),
    "session.failed": _("The server is not responding. Try again."),
    "session.often": _("Too many attempts. Wait a few minutes, or sign in in a new tab; this page then continues."),
    "session.elsewhere": _("Sign-in needs another step. Finish it in a new tab; this page then continues."),
    # ---- idle prompt and pause ----
    "veil.idle.title": _("Still working?"),
    "veil.idle.text": _(
        "No activity for {minutes} minutes, so time counts as idle. Press any key to continue (it does nothing else)."
    ),
    "veil.pause.title": _("Paused"),
    "veil.pause.text": _("Time counts as idle until you resume. Press any key to continue (it does nothing else)."),
    "veil.today": _("Active today: {hours} h {minutes} min"),
    # ---- judging ----
    "score.turn": _("Score the current aspect"),
    "mark.note": _(" (mark {n}: {what})"),
    "mark.added": _("Mark {n}: {what}"),
    "mark.removed": _("Mark {n} removed"),
    "mark.remove": _("Remove"),
    "mark.remove_one": _("Remove mark {n}"),
    "mark.walking": _("Marking in text {text}:"),
    "rank.place": _("Rank {n}: {who}"),
    "rank.none": _("No text is ranked"),
    "rank.token": _("{letter}: move with the arrow keys"),
    "text.size": _("Text size {n} %"),
    "differ.one": _("{n} difference"),
    "differ.other": _("{n} differences"),
    "differ.off": _("Differences hidden"),
    "differ.late": _("These texts are too long to compare here"),
    # ---- editing: writing and post-editing ----
    "reference.inserted": _("Inserted."),
    "reference.failed": _("Glossary and similar texts could not be loaded."),
}


def script_messages() -> dict[str, str]:
    """All messages in the language of the request."""
    return {key: str(message) for key, message in MESSAGES.items()}


def page_person(user: User) -> dict[str, Any]:
    """The user of a page, for its scripts: drafts stored in the browser are never shown to another user."""
    return {
        "user": user.pk,
        "email": user.email,
        "moved": user.keys,
        "single": user.single_keys,
        "now": int(time.time() * 1000),
    }
