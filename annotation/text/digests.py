"""SHA-256 digests that identify equal prompts and texts, and that split documents into sets."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from annotation.text.normalization import normal_form

CANONICAL = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def text_digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def messages_digest(messages: Sequence[dict[str, str]]) -> str:
    """sha256 (hexadecimal) of the messages' canonical JSON: sorted keys, no spaces, UTF-8."""
    return hashlib.sha256(CANONICAL.encode(list(messages)).encode()).hexdigest()


def prompt_digest(text: str) -> str:
    """`messages_digest` of the one user turn `text`."""
    return messages_digest([{"role": "user", "content": text}])


def prompt_identity(messages: Sequence[dict[str, str]]) -> str:
    """`messages_digest` of the messages' normal form: equal for prompts that read the same."""
    return messages_digest([{**message, "content": normal_form(message["content"])} for message in messages])


def context_key(metadata: Any) -> str:
    """The context (in the metadata) that tells texts apart which read the same, in its normal form; empty if none."""
    context = metadata.get("context") if isinstance(metadata, dict) else None
    if context is None or context in ("", [], {}):
        return ""
    return normal_form(context if isinstance(context, str) else canonical_json(context))


def distinction(document: str, context: str, external_id: str) -> str:
    """sha256 of what tells a prompt apart from others that read the same; empty if nothing does. The document and
    the context are in their normal form."""
    if not (document or context or external_id):
        return ""
    return hashlib.sha256(CANONICAL.encode([document, context, external_id]).encode()).hexdigest()


def canonical_json(value: Any) -> str:
    """JSON that is the same for equal values; NaN and infinities raise ValueError."""
    return CANONICAL.encode(value)


def falls_in_share(seed: str, key: str, share: float) -> bool:
    """Whether `key` belongs to the given share (0…1) of all keys: the same on every machine and in every version."""
    number = int.from_bytes(hashlib.sha256(f"{seed}\n{key}".encode()).digest()[:8])
    return number < share * 2**64
