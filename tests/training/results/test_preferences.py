"""Which checkpoint people preferred: the counts of a round, their interval, pages, command and promotion rules."""

import json
from collections import Counter

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from annotation.answers.exclusions import exclude_person, exclude_simulated, lift_exclusion
from annotation.answers.submission import submit
from annotation.models import Candidate, Role
from annotation.queue.batches import open_batch
from annotation.queue.claims import claim_next
from tests.factories import CandidateFactory, PromptFactory, join
from tests.training.conftest import watched
from training.models import Checkpoint, LearningCurve, Round
from training.reports.gains import gains
from training.results.preferences import Outcome, in_words, interval, opponent_of, outcome_of, reasons_in_words

# ---- the interval ----

UNITS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=40)


@given(UNITS)
def test_the_interval_holds_the_share_and_mirrors(units):
    wins, losses = sum(one for one, _ in units), sum(other for _, other in units)
    bounds = interval(units)
    if not wins + losses:
        assert bounds is None
        return
    low, high = bounds
    assert 0 <= low <= wins / (wins + losses) <= high <= 1
    assert interval([(losses, wins) for wins, losses in units]) == pytest.approx((1 - high, 1 - low))


def test_the_interval_is_wilsons_for_prompts_judged_once():
    """statsmodels' proportion_confint(53, 79, method="wilson") gives 0.5615 and 0.7644."""
    assert interval([(1, 0)] * 53 + [(0, 1)] * 26) == pytest.approx((0.5615, 0.7644), abs=2e-3)
    assert interval([(1, 0)] * 10) == pytest.approx((0.7225, 1.0), abs=1e-4)


def test_people_who_agree_on_a_prompt_are_less_than_as_many_prompts():
    once = interval([(1, 0)] * 20 + [(0, 1)] * 10)
    thrice = interval([(3, 0)] * 20 + [(0, 3)] * 10)  # 90 comparisons of 30 prompts say as much as 30
    assert thrice == pytest.approx(once, abs=0.01)


# ---- the answers of a round ----


@pytest.fixture
def judged(fake_run, project, manager):
    """A checkpoint, its parent, and a round whose batch has twenty pairs of theirs, each for two people."""
    parent = Checkpoint.objects.get(run=watched(fake_run("succeeds"), "succeeded"))
    checkpoint = Checkpoint.objects.get(run=watched(fake_run("succeeds", parent=parent), "succeeded"))
    for n in range(20):
        prompt = PromptFactory(project=project, text=f"Is the pool open on day {n}?")
        CandidateFactory(prompt=prompt, text=f"It is, on day {n}.", origin=checkpoint.origin)
        CandidateFactory(prompt=prompt, text=f"Yes {n}.", origin=parent.origin)
    batch = open_batch(project=project, kind="choosing", name="Blind", actor=manager, overlap=2, seed=1)
    Round.objects.create(project=project, number=2, checkpoint=checkpoint).batches.add(batch)
    return checkpoint


def answer(batch, person, verdicts, checkpoint):
    """One answer a verdict: the checkpoint's text wins, loses, a tie, or both bad."""
    for verdict in verdicts:
        assignment = claim_next(batch=batch, annotator=person)
        texts = {row.origin: row.pk for row in Candidate.objects.filter(prompt=assignment.task.prompt)}
        own, other = texts[checkpoint.origin], texts[opponent_of(checkpoint)]
        payload = {"shown": [own, other], "choice": "one", "chosen": None, "strength": None, "reasons": []}
        if verdict in ("tie", "both_bad"):
            payload["choice"] = verdict
        else:
            payload |= {"chosen": own if verdict == "wins" else other, "reasons": ["Register"]}
        submit(assignment=assignment, payload=payload, annotator=person)


VERDICTS = ["wins"] * 15 + ["loses"] * 3 + ["tie", "both_bad"]
pytestmark = pytest.mark.django_db(transaction=True)


def test_a_round_says_who_was_preferred_and_why(judged, project, client, manager, capsys, sign_in):
    batch = project.batches.get()
    call_command("round_result", project.slug)
    assert "nobody has compared the two yet" in capsys.readouterr().out
    for number in range(2):
        answer(batch, join(project, Role.ANNOTATOR, name=f"Person {number}"), VERDICTS, judged)
    outcome = outcome_of(judged, [batch.pk])
    assert (outcome.wins, outcome.losses, outcome.ties, outcome.both_bad, outcome.people) == (30, 6, 2, 2, 2)
    assert outcome.reasons == {"Register": 30}
    assert outcome_of(judged) == outcome
    assert outcome_of(judged, []) == Outcome()
    newest, first = gains(project)
    assert (newest.outcome, newest.win_rate) == (outcome, "83 % (95 %: 60 % to 94 %)")
    assert (first.outcome, first.win_rate) == (None, "")
    hana = sign_in(join(project, Role.MANAGER))
    address = reverse("dashboard", args=[project.slug])
    page = hana.get(address).text
    assert "83 % (95 %: 60 % to 94 %)" in page
    assert "Would more labels help?" not in page
    curve = LearningCurve.objects.create(project=project, dataset=judged.dataset, shares=[0.5, 1])
    page = hana.get(address).text
    assert reverse("learning_curve", args=[curve.pk]) in page
    assert "Would more labels help?" in page
    with CaptureQueriesContext(connection) as captured:
        hana.get(address)
    assert len(captured) <= 12, [query["sql"][:90] for query in captured]
    sentence = in_words(outcome, judged)
    start = f"Checkpoint {judged.pk} preferred to checkpoint {judged.parent_id}: 30 to 6, 2 ties, 2 both bad; 83 %"
    assert sentence.startswith(start)
    assert reasons_in_words(outcome) == "Reasons for it: Register (30) · Reasons against it: Register (6)"
    call_command("round_result", project.slug)
    assert sentence in capsys.readouterr().out
    call_command("round_result", project.slug, "--round", "2", "--json")
    figures = json.loads(capsys.readouterr().out)
    assert (figures["win_rate"], figures["decided"]) == (pytest.approx(30 / 36), 36)
    client.force_login(manager, backend="annotation.members.auth_backend.PeopleBackend")
    for page in (f"/projects/{project.slug}/rounds/", f"/checkpoints/{judged.pk}/"):
        text = client.get(page).content.decode()
        assert sentence in text
        assert "Register (30)" in text
    page = client.get(f"/batches/{batch.pk}/").content.decode()
    assert sentence in page
    assert "Register (30)" in page
    with pytest.raises(CommandError, match="no round 1 that compares"):
        call_command("round_result", project.slug, "--round", "1")


def test_rules_name_what_people_preferred(judged, project):
    with pytest.raises(CommandError, match="nobody has decided between"):
        call_command("promote", str(judged.pk), "--if", "win_rate>=0.55")
    answer(project.batches.get(), join(project, Role.ANNOTATOR), VERDICTS, judged)
    with pytest.raises(CommandError, match=r"win_rate is 0\.8333, the rule asks for >= 0\.9 \(what people preferred\)"):
        call_command("promote", str(judged.pk), "--if", "win_rate>=0.9")
    with pytest.raises(CommandError, match="no finished evaluation"):
        call_command("promote", str(judged.pk), "--if", "win_rate>=0.5", "--if", "chrf>20")
    judged.refresh_from_db()
    assert judged.promoted_at is None
    call_command("promote", str(judged.pk), "--if", "win_rate>=0.55", "--if", "decided>=18")
    judged.refresh_from_db()
    assert "win_rate is 0.8333" in judged.promotion_note


def test_others_answers_and_other_models_texts_do_not_count(judged, project, manager):
    for prompt in project.prompts.all():
        CandidateFactory(prompt=prompt, text=f"Third of {prompt.pk}.", origin="import:other.csv")
    ranked = open_batch(project=project, kind="choosing", name="Three", actor=manager, overlap=1, alternatives=3)
    person = join(project, Role.ANNOTATOR)
    assignment = claim_next(batch=ranked, annotator=person)
    texts = {row.origin: row.pk for row in Candidate.objects.filter(prompt=assignment.task.prompt)}
    own, other, third = texts[judged.origin], texts[opponent_of(judged)], texts["import:other.csv"]
    payload = {"shown": [own, other, third], "choice": "ranking", "ranking": [[third], [own, other]], "chosen": None}
    submit(assignment=assignment, payload={**payload, "strength": None, "reasons": []}, annotator=person)
    outcome = outcome_of(judged)
    assert (outcome.wins, outcome.losses, outcome.ties) == (0, 0, 1)
    assert in_words(outcome, judged).startswith("Nothing decided between")


@pytest.mark.parametrize(
    ("wins", "losses", "start"),
    [(30, 4, "Checkpoint 7 preferred to the base model: 30 to 4"), (4, 30, "Checkpoint 7 is not preferred: the base")],
)
def test_the_sentence_names_the_winner_first(wins, losses, start):
    units = ((1, 0),) * wins + ((0, 1),) * losses
    outcome = Outcome(wins=wins, losses=losses, units=units, reasons=Counter())
    sentence = in_words(outcome, Checkpoint(pk=7))
    assert sentence.startswith(start)
    assert "88 % of decided" in sentence
    even = Outcome(wins=5, losses=4, units=((1, 0),) * 5 + ((0, 1),) * 4)
    assert in_words(even, Checkpoint(pk=7)).startswith(
        "No clear preference between checkpoint 7 and the base model: 5 to"
    )


def test_a_result_is_without_excluded_answers_until_they_count_again(judged, project, capsys):
    batch = project.batches.get()
    people = [join(project, Role.ANNOTATOR, name=f"Person {number}") for number in range(2)]
    for person in people:
        answer(batch, person, VERDICTS, judged)
    whole = outcome_of(judged, [batch.pk])
    exclusion = exclude_person(project=project, annotator=people[0], reason="Did not read", actor=None)
    without = outcome_of(judged, [batch.pk])
    assert (whole.people, whole.wins, whole.losses) == (2, 30, 6)
    assert (without.people, without.wins, without.losses, without.ties, without.both_bad) == (1, 15, 3, 1, 1)
    call_command("round_result", project.slug)
    assert in_words(without, judged) in capsys.readouterr().out
    people[1].is_simulated = True
    people[1].save()
    exclude_simulated(project=project, reason="A program", actor=None)
    assert outcome_of(judged, [batch.pk]) == Outcome()
    lift_exclusion(exclusion=exclusion, actor=None)
    assert outcome_of(judged, [batch.pk]).people == 1
