"""The short way through `normal_form` gives what the long way gives, for every character."""

from annotation.text import normalization


class Never:
    """A set that every text has something of: nothing takes the short way."""

    def isdisjoint(self, text):
        return False


def test_the_short_way_is_right_for_every_character(monkeypatch):
    texts = [
        f"e{chr(code)}\u0301 が{chr(code)}"
        for code in (*range(0xD800), *range(0xE000, 0x30000), *range(0xE0000, 0xE1100))
    ]
    short = [normalization.normal_form(text) for text in texts]
    monkeypatch.setattr(normalization, "SPECIAL", Never())
    assert short == [normalization.normal_form(text) for text in texts]
