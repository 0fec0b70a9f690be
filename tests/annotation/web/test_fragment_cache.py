"""`{% keep %}`: rendered once for each case and language, escaped as ever, and never without end."""

from django.template import Context, engines
from django.utils import translation

from annotation.templatetags.keeping import MOST


class Counted:
    """A value that says how often a template asked for it."""

    def __init__(self, text):
        self.text, self.asked = text, 0

    def __call__(self):
        self.asked += 1
        return self.text


def template(text):
    return engines["django"].from_string("{% load i18n keeping %}" + text).template


def test_once_for_each_case_and_language():
    part = template('{% keep case %}{{ value }} {% translate "Saved" %}{% endkeep %}')
    value = Counted("<b>")
    for _ in range(3):
        assert part.render(Context({"case": 1, "value": value})) == "&lt;b&gt; Saved"
    assert value.asked == 1
    part.render(Context({"case": 2, "value": value}))
    with translation.override("ja"):
        assert "Saved" not in part.render(Context({"case": 1, "value": value}))
    assert value.asked == 3


def test_many_cases_do_not_grow_without_end():
    part = template("{% keep case %}{{ case }}{% endkeep %}")
    for case in range(3 * MOST):
        assert part.render(Context({"case": case})) == str(case)
    (node,) = [node for node in part.nodelist if hasattr(node, "kept")]
    assert len(node.kept) <= MOST
