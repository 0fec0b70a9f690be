"""Damaged twins: the rules, and how answers to them are judged."""

import pytest

from annotation.answers.submission import submit
from annotation.checks.damage import APPLY, GROUPS, RULES, damaged
from annotation.checks.results import checked_answers, results_of
from annotation.models import Candidate, Kind, Role, TaskCheck
from annotation.queue.claims import claim_next
from tests.annotation.checks.helpers import answer_all, batch_with, of_kind
from tests.annotation.helpers import hotel
from tests.factories import join


def rules_of(text, language, terms=()):
    """Each rule that applies, with what it makes of the text."""
    made = {}
    for seed in range(40):
        if found := damaged(text, language=language, seed=seed, terms=terms):
            made[found.rule] = found.text
    return made


def test_each_rule_does_what_its_name_says():
    assert set(APPLY) == set(RULES) == {rule for group in GROUPS for rule in group}
    number = rules_of("Check-in is at 15.", "en")["number"]
    assert number != "Check-in is at 15."
    assert number.startswith("Check-in is at ")
    assert number.endswith("5.")
    assert rules_of("The pool is not open.", "en") == {"negation": "The pool is open."}
    assert rules_of("予約は必要ありません。", "ja") == {"negation": "予約は必要あります。"}
    clauses = {damaged("今日は晴れなので、散歩に行く。", language="ja", seed=seed).text for seed in range(9)}
    assert clauses == {"今日は晴れなので。", "散歩に行く。"}
    assert rules_of("駅まで歩きます。", "ja") == {"particles": "駅から歩きます。"}
    assert rules_of("ありがとうございます。", "ja") == {"politeness": "ありがとう。"}
    assert rules_of("Give me the lobby", "en", terms=["lobby", "reception"])["term"] == "Give me the reception"
    shuffled = rules_of("The big brown dog sleeps", "en")["order"].split()
    assert shuffled[0] == "The"
    assert shuffled[-1] == "sleeps"
    assert shuffled != ["The", "big", "brown", "dog", "sleeps"]


def test_the_same_seed_damages_alike_and_a_text_that_no_rule_fits_is_left_alone():
    assert damaged("Room 15, please.", language="en", seed=3) == damaged("Room 15, please.", language="en", seed=3)
    assert damaged("Hello.", language="en", seed=1) is None
    assert damaged("", language="ja", seed=1) is None


@pytest.mark.django_db
def test_a_choice_must_prefer_the_original_and_a_tie_does_not():
    project = hotel(prompts=6, slug="hotel", held_out_share=0)
    batch = batch_with(project, list(project.prompts.values_list("pk", flat=True)), twins=30, overlap=4)
    check = TaskCheck.objects.filter(batch=batch).first()
    verdicts = {"one": check.of_candidate, "wrong": check.worse_candidate, "tie": None, "both_bad": None}
    people = {}
    for choice, chosen in verdicts.items():
        person = people[choice] = join(project, Role.ANNOTATOR)
        while held := claim_next(batch=batch, annotator=person):
            shown = held.task.candidate_ids
            is_twin = held.task_id == check.task_id
            payload = {"choice": "both_bad", "chosen": None, "shown": shown, "strength": None, "reasons": []}
            if is_twin:
                payload |= {"choice": "one" if chosen else choice, "chosen": chosen}
            submit(assignment=held, payload=payload, annotator=person)
    right = {answer.person: answer.right for answer in checked_answers(project)}
    assert right == {people["one"].pk: True, people["wrong"].pk: False, people["tie"].pk: False}
    assert results_of(project).damage[check.damage].n == 3
    original = Candidate.objects.get(pk=check.of_candidate)
    worse = Candidate.objects.get(pk=check.worse_candidate)
    assert (worse.prompt, worse.origin, worse.generation) == (None, f"damaged:{check.damage}", {"of": original.pk})
    assert worse.text != original.text


@pytest.mark.django_db
def test_texts_scored_one_by_one_are_compared_with_the_same_persons_earlier_score():
    project = hotel(prompts=30, slug="hotel", held_out_share=0)
    batch = batch_with(project, list(project.prompts.values_list("pk", flat=True)), kind=Kind.SCORING, twins=8)
    person = join(project, Role.ANNOTATOR)
    twins = of_kind(batch, "twin")
    assert twins
    assert all(TaskCheck.objects.get(task=task).of_task_id for task in twins)
    met = 0
    while held := claim_next(batch=batch, annotator=person):
        met += held.task_id in twins
        (key,) = held.task.candidate_ids
        points = 2 if held.task_id in twins else 4
        scores = {str(key): {"meaning": points, "register": 3}}
        submit(assignment=held, payload={"scores": scores, "comment": ""}, annotator=person)
    # A twin comes some answers after its original: in so small a batch the last original may be too late for it.
    assert met
    assert [answer.right for answer in checked_answers(project)] == [True] * met
    other = join(project, Role.ANNOTATOR)
    assert not answer_all(batch, other)  # nothing is left, and the twins were for those who scored the original
