"""The form in which terms are looked for: what keyboards, word processors and typesetters write differently is one."""

import re

from annotation.text.normalization import folded

# Signs that a keyboard, a word processor and a typesetter write differently for the same mark.
TYPOGRAPHIC = {
    "'": "’‘‛ʼʻʹʾʿ`´′ˈ׳՚Ꞌꞌ",
    '"': "“”„‟«»″〝〞〟״‹›",
    "-": "‐‑‒–—―−⁃﹘﹣־⸺⸻",
    "~": "〜∼˜",
    "·": "•‧∙・･",
    "/": "⁄∕",
    "...": "…",
}
# Vowel signs of Arabic and Hebrew, which most texts leave out, and the stroke that draws Arabic letters out.
VOWEL_SIGNS = re.compile("[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0640\u064b-\u0652\u0670]")
AS_TYPED = str.maketrans({sign: typed for typed, signs in TYPOGRAPHIC.items() for sign in signs})


def lookup_form(text: str) -> str:
    """The folded text with one form of each apostrophe, quotation mark, hyphen and dash: “guest’s check‑in” and
    "guest's check-in" are the same term. Nor do vowel signs of Arabic and Hebrew, letters that are only drawn out, and
    the dots of the Turkish i make a difference. For searching only: such texts do differ in print."""
    # Twice: NFKC takes some of the signs apart, such as ´, and makes some, such as ’ of ＇.
    plain = folded(text.translate(AS_TYPED)).translate(AS_TYPED)
    if plain.isascii():
        return plain
    return VOWEL_SIGNS.sub("", plain).replace("i\u0307", "i").replace("ı", "i")
