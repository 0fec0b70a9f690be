"""The four kinds of annotation. Each is one module (what is shown, how the form is read, how an answer reads) and one
template in templates/annotation/kinds/. To add a kind: both of these, a line here, and a choice in `models.Kind`."""

from annotation.kinds import choosing, postediting, scoring, writing
from annotation.kinds.presentation import KindSlice, Shown, show
from annotation.models import Kind

KINDS: dict[str, KindSlice] = {
    Kind.WRITING: writing,
    Kind.POSTEDITING: postediting,
    Kind.SCORING: scoring,
    Kind.CHOOSING: choosing,
}

__all__ = ["KINDS", "Shown", "show"]
