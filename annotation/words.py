"""The words that the scripts of the annotation pages say. A page carries them translated, as data (`words` in its
context, written by `json_script`): scripts hold no words of their own. "{n}" and other names in braces are filled in
by the script; a counted phrase has two entries, `….one` and `….other`."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

WORDS: dict[str, str | Promise] = {
    # ---- drafts ----
    "draft.saving": _("Saving…"),
    "draft.saved": _("Saved"),
}


def words() -> dict[str, str]:
    """All of them, in the language of the request."""
    return {key: str(word) for key, word in WORDS.items()}
