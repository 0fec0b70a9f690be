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
    "keys.submit": _("Submit"),
    "keys.leave": _("Leave a text field, close a panel"),
    # ---- drafts ----
    "draft.saving": _("Saving…"),
    "draft.saved": _("Saved"),
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
