"""Per-process fragment cache, keyed by language and the given expressions.

For parts of a page that are the same for thousands of tasks. With the setting CHECK_FRAGMENT_CACHE (on under tests)
every hit is rendered again and compared, so that a fragment which depends on something outside its key fails a test
instead of showing one person another's content.
"""

from django import template
from django.conf import settings
from django.template import Context, Node, NodeList
from django.template.base import FilterExpression, Parser, Token
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language

register = template.Library()

# Keys are few. A fragment that turns out to have many is emptied at this size instead of growing without bound.
MAX_KEYS = 200


class IncompleteKey(AssertionError):
    """The output of a cached fragment depends on something that is not in its key."""


class CachedFragmentNode(Node):
    def __init__(self, nodelist: NodeList, expressions: list[FilterExpression]) -> None:
        self.nodelist, self.expressions = nodelist, expressions
        self.cache: dict[tuple[str, ...], SafeString] = {}

    def render(self, context: Context) -> SafeString:
        key = (get_language() or "", *[str(expression.resolve(context)) for expression in self.expressions])
        cached = self.cache.get(key)
        if cached is None:
            if len(self.cache) >= MAX_KEYS:
                self.cache.clear()
            cached = self.cache[key] = self.render_fragment(context)
        elif settings.CHECK_FRAGMENT_CACHE and (fresh := self.render_fragment(context)) != cached:
            raise IncompleteKey(
                f"{self.origin}, line {self.token.lineno if self.token else '?'}: this fragment depends on more than "
                f"its key {key!r}. Cached: {cached!r}. Rendered now: {fresh!r}"
            )
        return cached

    def render_fragment(self, context: Context) -> SafeString:
        return mark_safe(self.nodelist.render(context))  # noqa: S308 - rendered and escaped by its nodes


@register.tag
def cached_fragment(parser: Parser, token: Token) -> CachedFragmentNode:
    """`{% cached_fragment a b %}…{% endcached_fragment %}`: the content may depend on `a`, `b` and the language only.

    `a` and `b` are compared as strings.
    """
    expressions = [parser.compile_filter(word) for word in token.split_contents()[1:]]
    nodelist = parser.parse(("endcached_fragment",))
    parser.delete_first_token()
    return CachedFragmentNode(nodelist, expressions)
