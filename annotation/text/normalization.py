"""Text normalisation for comparison: width, case and spacing make no difference."""

import re
import unicodedata

# Characters of scripts without spaces between words: Thai, Lao, Burmese, Khmer, kana, Han.
UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"
)


def folded(text: str) -> str:
    """NFKC, case-folded, runs of white space collapsed to one space and stripped."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
