"""Sentences that are stored, and said in the language of whoever reads them later."""

from typing import Any

from django.utils.translation import gettext


class Message(str):
    """A sentence in English, which knows its `msgid` and what was put into it. Mark the msgid with `gettext_noop`."""

    msgid: str
    values: dict[str, Any]

    def __new__(cls, msgid: str, **values: Any) -> "Message":
        values = {name: storable(value) for name, value in values.items()}
        message = super().__new__(cls, msgid % values)
        message.msgid, message.values = msgid, values
        return message

    def as_dict(self) -> dict[str, Any]:
        values = {name: value.as_dict() if isinstance(value, Message) else value for name, value in self.values.items()}
        return {"message": str(self), "msgid": self.msgid, "values": values}


def storable(value: Any) -> Any:
    """What PostgreSQL's jsonb can hold and a page can show."""
    if isinstance(value, Message) or not isinstance(value, str):
        return value
    return value.encode(errors="backslashreplace").decode().replace("\0", "␀")


def stored(message: str) -> dict[str, Any]:
    return message.as_dict() if isinstance(message, Message) else {"message": message}


def in_language(record: dict[str, Any]) -> str:
    """A stored message in the active language; those from before they were kept in parts, in English."""
    if "msgid" not in record:
        return str(record["message"])
    values = {
        name: in_language(value) if isinstance(value, dict) else value for name, value in record["values"].items()
    }
    return gettext(record["msgid"]) % values
