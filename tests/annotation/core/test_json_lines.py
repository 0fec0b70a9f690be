"""The fast encoder writes what Python's writes."""

import json
import random

import pytest

from annotation.core.json_lines import encode, encode_exactly

python = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def test_every_character_is_written_as_python_writes_it() -> None:
    characters = "".join(map(chr, (*range(0xD800), *range(0xE000, 0x110000))))
    assert encode([characters]) == python([characters]).encode()


def test_frozen_floats_are_written_as_python_writes_them() -> None:
    numbers = [0.0, -0.0, 1.0, 1e-4, 9.9e-5, 1e-06, 0.333333, 1e15, 1e16, 1e17, 1e300, 5e-324, -1e-7]
    pick = random.Random(7)
    numbers += [round(pick.random() / 10**places, 6) for places in range(6) for _ in range(200)]
    for number in numbers:
        assert encode_exactly({"p": number, "n": None}, (number, None)) == python({"p": number, "n": None}).encode()


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode_exactly({"p": number}, (number,))


def test_what_the_fast_encoder_does_not_know_is_written_all_the_same() -> None:
    for value in (2**70, -(2**70), {1: "one"}, [[]] * 3):
        assert encode(value) == python(value).encode()
    deep: list = []
    for _ in range(400):
        deep = [deep]
    assert encode(deep) == python(deep).encode()
