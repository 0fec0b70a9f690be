"""The grammar's texts: the same for the same seed, varied, and telling apart in register and content."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo import concierge, grammar
from demo.judgement import fit, formality, made_formal, mentions_in, taken_up, topics_in, wholeness
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
    assert (formality(formal), formality(casual)) == (1, -1)
    assert topics_in(review) == {topic for topic, _ in scene.mentions}
    assert mentions_in(review) == dict(scene.mentions)
    assert taken_up(formal) == taken_up(casual) == list(scene.mentions)
    assert fit(review, formal) == fit(review, casual) == 1
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
        assert fit(review, brief) < 1


@given(SEEDS)
def test_taking_a_mention_up_the_wrong_way_round_shows(seed):
    scene = grammar.scene(seed)
    review = grammar.review(scene)
    for place, (topic, polarity) in enumerate(scene.mentions):
        for register in ("formal", "casual"):
            misread = grammar.reply(scene, register, misread=place)
            assert taken_up(misread)[place] == (topic, grammar.OPPOSITE[polarity])
            assert fit(review, misread) == pytest.approx(1 - 1 / len(scene.mentions))


def test_every_sentence_of_the_grammar_is_judged_as_it_was_meant():
    for name, topic in grammar.TOPICS.items():
        for polarity, side in (("praise", topic.praise), ("complaint", topic.complaint)):
            for text in itertools.chain.from_iterable(side.replies):
                assert taken_up(text) == [(name, polarity)], text


def test_what_is_said_twice_or_was_not_mentioned_fits_less():
    review = "The pool was closed all week."
    met = "We regret that the pool was not in proper order."
    assert fit(review, met) == 1
    assert fit(review, f"{met} Please accept a complimentary day at the pool.") == pytest.approx(2 / 3)
    assert fit(review, f"{met} The view is indeed our pride.") == pytest.approx(2 / 3)
    assert fit(review, "The pool attendants will be gratified.") == 0
    # Of a review that the grammar did not write, only the topics are known; of one without topics, nothing.
    assert fit("About the pool: hm.", met) == fit("About the pool: hm.", "The pool is lovely.") == 1
    assert fit("Hm.", met) == 1


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
    formal = sum(formality(messages[2]["content"]) > 0 for messages in corpus) / len(corpus)
    assert concierge.CORPUS_FORMAL_SHARE - 0.1 < formal < concierge.CORPUS_FORMAL_SHARE + 0.1


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
