"""JSON of rows that are written by the hundred thousand."""

import json
from typing import Any

import orjson

# What is encoded are trees: nothing in them contains itself.
_python = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False)
# Python writes floats outside of this range with an exponent of another form than orjson.
SMALLEST, LARGEST = 1e-4, 1e16


def encode(value: Any) -> bytes:
    """The value as UTF-8, without spaces, keys in their order: bytes of Python's encoder, but for floats of exponents
    (1e-7, there 1e-07) and without its error for NaN. What orjson does not know, such as whole numbers of more than 64
    bits, Python encodes."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return _python.encode(value).encode()


def encode_exactly(value: Any, floats: tuple[float | None, ...]) -> bytes:
    """The very bytes of Python's encoder, where `floats` are all floats in the value.

    Raises:
        ValueError: one of them is NaN or infinite.
    """
    for number in floats:
        if number and not SMALLEST <= abs(number) < LARGEST:
            return _python.encode(value).encode()
    return encode(value)
