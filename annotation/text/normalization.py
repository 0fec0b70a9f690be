"""Texts as they are compared: width, case and spacing make no difference."""

import re
import unicodedata

# Signs of scripts without spaces between words: Thai, Lao, Burmese, Khmer, kana, Han.
UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"
)


def folded(text: str) -> str:
    """NFKC, without case, each run of blanks one space and none around."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
