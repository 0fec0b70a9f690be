"""The kinds of annotation, by the name under which a batch and its annotations store them."""

from annotation.kinds.base import AnnotationKind
from annotation.kinds.choosing import Choosing
from annotation.kinds.postediting import Postediting
from annotation.kinds.scoring import Scoring
from annotation.kinds.writing import Writing
from annotation.models import Kind

# Votes are counted in this order. Strengths are sums of floats, so the order is part of a frozen dataset's sha256: add
# a new kind at the end.
KINDS: dict[str, AnnotationKind] = {
    Kind.CHOOSING: Choosing(),
    Kind.SCORING: Scoring(),
    Kind.POSTEDITING: Postediting(),
    Kind.WRITING: Writing(),
}
