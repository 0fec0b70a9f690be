"""`{% cached_fragment %}`: rendered once for each key and language, escaped, bounded, and checked under tests."""

import pytest
from django.template import Context, engines
from django.template.loader import render_to_string
from django.utils import translation

from annotation.templatetags.fragment_cache import MAX_KEYS, IncompleteKey


class Counted:
    """A value that counts how often a template reads it."""

    def __init__(self, text):
        self.text, self.reads = text, 0

    def __call__(self):
        self.reads += 1
        return self.text


def template(text):
    return engines["django"].from_string("{% load i18n fragment_cache %}" + text).template


def test_once_for_each_key_and_language(settings):
    settings.CHECK_FRAGMENT_CACHE = False
    part = template('{% cached_fragment case %}{{ value }} {% translate "Saved" %}{% endcached_fragment %}')
    value = Counted("<b>")
    for _ in range(3):
        assert part.render(Context({"case": 1, "value": value})) == "&lt;b&gt; Saved"
    assert value.reads == 1
    part.render(Context({"case": 2, "value": value}))
    with translation.override("ja"):
        assert "Saved" not in part.render(Context({"case": 1, "value": value}))
    assert value.reads == 3


def test_many_keys_do_not_grow_without_bound():
    part = template("{% cached_fragment case %}{{ case }}{% endcached_fragment %}")
    for case in range(3 * MAX_KEYS):
        assert part.render(Context({"case": case})) == str(case)
    (node,) = [node for node in part.nodelist if hasattr(node, "cache")]
    assert len(node.cache) <= MAX_KEYS


def test_under_tests_every_hit_is_rendered_again():
    part = template("{% cached_fragment case %}{{ value }}{% endcached_fragment %}")
    value = Counted("same")
    for _ in range(3):
        assert part.render(Context({"case": 1, "value": value})) == "same"
    assert value.reads == 3


def test_a_value_missing_from_the_key_is_found_and_the_template_named(settings, tmp_path):
    (tmp_path / "wrong.html").write_text(
        "{% load fragment_cache %}\n{% cached_fragment case %}{{ case }} {{ name }}{% endcached_fragment %}"
    )
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    assert "1 Hana" in render_to_string("wrong.html", {"case": 1, "name": "Hana"})
    assert "1 Hana" in render_to_string("wrong.html", {"case": 1, "name": "Hana"})
    assert "2 Ken" in render_to_string("wrong.html", {"case": 2, "name": "Ken"})
    with pytest.raises(IncompleteKey, match=r"wrong\.html, line 2: .*'1 Hana'.*'1 Ken'"):
        render_to_string("wrong.html", {"case": 1, "name": "Ken"})
    settings.CHECK_FRAGMENT_CACHE = False
    assert "1 Hana" in render_to_string("wrong.html", {"case": 1, "name": "Ken"}), "what the check is for"
