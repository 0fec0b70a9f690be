"""What marked errors weigh, as in the expert evaluations by MQM (Freitag et al. 2021): 25 points at most. Pure."""

from annotation.kinds.spans import Span

SEVERITY = {"neutral": 0.0, "minor": 1.0, "major": 5.0, "critical": 25.0}
MINOR_PUNCTUATION = 0.1
NON_TRANSLATION = 25.0


def penalty(marks: list[Span]) -> float:
    """The sum over a text's errors: minor 1, major 5, critical 25; minor punctuation 0.1, and a text that is no
    translation at all 25. The last part of a category counts ("Fluency/Punctuation")."""
    return sum(map(weight, marks))


def weight(mark: Span) -> float:
    category = mark.get("category", "").rpartition("/")[2].casefold()
    severity = mark.get("severity", "")
    if category.rstrip("!") == "non-translation":
        return NON_TRANSLATION
    if category == "punctuation" and severity == "minor":
        return MINOR_PUNCTUATION
    return SEVERITY.get(severity, 0.0)
