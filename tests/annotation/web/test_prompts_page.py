"""The list of prompts: searched, filtered, page by page."""

import re
import unicodedata

import pytest
from django.urls import reverse

from annotation.models import Role
from tests.factories import ProjectFactory, PromptFactory, join

pytestmark = pytest.mark.django_db


@pytest.fixture
def hotel():
    return ProjectFactory(slug="hotel", source_language="ja")


@pytest.fixture
def shown(hotel, sign_in):
    client = sign_in(join(hotel, Role.MANAGER))

    def page(**query):
        text = client.get(reverse("prompts", args=["hotel"]), query).content.decode()
        return re.findall(r'<div class="cell"[^>]*>([^<]*)</div>', text), text

    return page


def test_prompts_are_found_in_any_spelling_by_text_id_and_document(hotel, shown):
    PromptFactory(project=hotel, text="ﾎﾃﾙの  朝食は？", external_id="Q-7", source_document="Guide  book")
    PromptFactory(project=hotel, text="駅まで何分ですか。", held_out=True)
    for query in ("ホテルの 朝食", unicodedata.normalize("NFD", "ホテル"), "ｑ-7", "guide book"):
        texts, page = shown(q=query)
        assert texts == ["ﾎﾃﾙの  朝食は？"], query
        assert "1 prompt\n" in page
    assert shown(q="")[0] == shown()[0] == ["駅まで何分ですか。", "ﾎﾃﾙの  朝食は？"]
    texts, page = shown(q="<b>&")
    assert texts == []
    assert "No prompts match this filter." in page
    assert 'value="&lt;b&gt;&amp;"' in page


def test_the_search_stays_over_filters_and_pages(hotel, shown):
    for n in range(60):
        PromptFactory(project=hotel, text=f"Room & {n}", held_out=n % 2 == 0)
    PromptFactory(project=hotel, text="Breakfast")
    _texts, page = shown(q="room &", only="train")
    assert "30 prompts\n" in page
    assert '<input type="hidden" name="only" value="train">' in page
    assert "?only=held_out&amp;q=room%20%26" in page
    texts, page = shown(q="room &")
    assert len(texts) == 50
    assert 'rel="next" href="?q=room%20%26&amp;page=2"' in page
    assert len(shown(q="room &", page=2)[0]) == 10
