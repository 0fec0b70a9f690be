"""The grammar's texts: the same for the same seed, varied, and telling apart in register and content."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from demo import concierge, grammar
from demo.judgement import coverage, formality, made_formal, topics_in, wholeness
from demo.phrases import PHRASES

SEEDS = st.integers(min_value=0, max_value=10**9)
VARIANTS = st.integers(min_value=0, max_value=50)


@given(SEEDS, VARIANTS)
def test_one_seed_is_one_text(seed, variant):
    scene = grammar.scene(seed)
    assert grammar.scene(seed) == scene
    assert grammar.review(scene) == grammar.review(scene)
    assert grammar.reply(scene, "formal", variant=variant) == grammar.reply(scene, "formal", variant=variant)


@given(SEEDS, VARIANTS)
def test_registers_tell_apart_and_both_take_up_the_review(seed, variant):
    scene = grammar.scene(seed)
    review = grammar.review(scene)
    formal, casual = (grammar.reply(scene, register, variant=variant) for register in ("formal", "casual"))
    assert formality(formal) > 0 > formality(casual)
    assert topics_in(review) == {topic for topic, _ in scene.mentions}
    assert coverage(review, formal) == coverage(review, casual) == 1
    assert wholeness(formal) == wholeness(casual) == 1
    assert made_formal(review, casual) == formal
    assert made_formal(review, formal) == formal


@given(SEEDS)
def test_leaving_a_mention_out_shows(seed):
    scene = grammar.scene(seed)
    review = grammar.review(scene)
    for place, (topic, _) in enumerate(scene.mentions):
        brief = grammar.reply(scene, "formal", leave_out=place)
        assert topic not in topics_in(brief)
        assert coverage(review, brief) < 1


def test_texts_are_varied():
    """Thousands of reviews with next to no repetition, before `scenes` sorts out the rest."""
    reviews = [grammar.review(grammar.scene(seed)) for seed in range(5000)]
    assert len(set(reviews)) > 0.98 * len(reviews)
    assert grammar.count_reviews() > 10_000_000
    replies = {grammar.reply(grammar.scene(seed), "formal") for seed in range(5000)}
    assert len(replies) > 4000


def test_every_template_expands_without_braces():
    for topic in concierge.grammar.TOPICS.values():
        for template in itertools.chain(topic.praise.mentions, topic.complaint.mentions):
            assert not any("{" in text or "}" in text or "|" in text for text in grammar.expand(template))


def test_the_corpus_has_none_of_the_projects_reviews():
    project = {row["text"] for row in concierge.concierge_rows()}
    corpus = [row["messages"] for row in concierge.corpus_rows(500)]
    assert len(project) == concierge.PROMPTS
    assert not project & {messages[1]["content"] for messages in corpus}
    registers = [formality(messages[2]["content"]) > 0 for messages in corpus]
    assert 0.4 < sum(registers) / len(registers) < 0.6


def test_phrases_tell_apart():
    assert len({english for english, _, _ in PHRASES}) == len(PHRASES) >= 60
    for english, polite, plain in PHRASES:
        assert formality(polite, "ja") == 1, english
        assert formality(plain, "ja") == -1, english
        assert made_formal(english, plain) == polite


def test_broken_texts_are_not_whole():
    assert wholeness("") == 0
    assert wholeness("we we are are the the") == 0
    assert wholeness("Dear guest,\nThank you. Thank you.\nYours sincerely, the concierge") < 1
