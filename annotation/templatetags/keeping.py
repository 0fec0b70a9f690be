"""Parts of a page that are the same for thousands of tasks: rendered once a process, language and case."""

from django import template
from django.template import Context, Node, NodeList
from django.template.base import FilterExpression, Parser, Token
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language

register = template.Library()

# Cases are few; a part that turns out to have many is begun anew instead of growing without end.
MOST = 200


class KeepNode(Node):
    def __init__(self, parts: NodeList, cases: list[FilterExpression]) -> None:
        self.parts, self.cases = parts, cases
        self.kept: dict[tuple[str, ...], SafeString] = {}

    def render(self, context: Context) -> SafeString:
        case = (get_language() or "", *[str(expression.resolve(context)) for expression in self.cases])
        if case not in self.kept:
            if len(self.kept) >= MOST:
                self.kept.clear()
            self.kept[case] = mark_safe(self.parts.render(context))  # noqa: S308 - rendered and escaped by its nodes
        return self.kept[case]


@register.tag
def keep(parser: Parser, token: Token) -> KeepNode:
    """`{% keep a b %}…{% endkeep %}`: what stands within depends on `a`, `b` and the language, and on nothing else."""
    cases = [parser.compile_filter(word) for word in token.split_contents()[1:]]
    parts = parser.parse(("endkeep",))
    parser.delete_first_token()
    return KeepNode(parts, cases)
