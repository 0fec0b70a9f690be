"""What people type into a field for text: made uniform, and refused where it is empty or too long."""

from django.utils.translation import gettext as _

from annotation.core.errors import InvalidInput
from annotation.text.normalization import has_ink


def checked_text(text: str, *, field: str, limit: int, missing: str) -> str:
    """A text of several lines, without blanks around it and characters that the database cannot hold.

    Raises InvalidInput for the field: `missing` for a text in which there is nothing to see, else that it has more than
    `limit` characters.
    """
    return checked(text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").strip(), field, limit, missing)


def checked_line(text: str, *, field: str, limit: int, missing: str) -> str:
    """As `checked_text`, on one line: any run of blanks and line breaks becomes a blank."""
    return checked(" ".join(text.replace("\0", "").split()), field, limit, missing)


def checked(text: str, field: str, limit: int, missing: str) -> str:
    if not has_ink(text):
        raise InvalidInput(missing, [(field, missing)])
    if len(text) > limit:
        message = _("At most %(limit)s characters; this has %(length)s.") % {"limit": limit, "length": len(text)}
        raise InvalidInput(message, [(field, message)])
    return text
