"""The form in which terms are looked for: what keyboards, word processors and typesetters write differently is one."""

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
# The single signs as two strings of one length, for PostgreSQL's translate().
TYPED_SIGNS = [(sign, typed) for typed, signs in TYPOGRAPHIC.items() for sign in signs if len(typed) == 1]
TRANSLATE_FROM, TRANSLATE_TO = ("".join(column) for column in zip(*TYPED_SIGNS, strict=True))
AS_TYPED = str.maketrans({sign: typed for typed, signs in TYPOGRAPHIC.items() for sign in signs})


def lookup_form(text: str) -> str:
    """The folded text with one form of each apostrophe, quotation mark, hyphen and dash: “guest’s check‑in” and
    "guest's check-in" are the same term. For searching only: such texts do differ in print."""
    return folded(text).translate(AS_TYPED)
