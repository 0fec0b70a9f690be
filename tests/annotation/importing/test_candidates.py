"""Adding candidates, hiding which is which, and what a model is asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.core.errors import InvalidInput
from annotation.importing.candidates import NewCandidate, add_candidates, conversation
from annotation.kinds.presentation import presented_order
from annotation.models import Candidate, Event
from tests.factories import ProjectFactory, PromptFactory, UserFactory


@pytest.mark.django_db
def test_candidates_are_added_once_and_leave_an_event():
    prompt, actor = PromptFactory(), UserFactory()
    new = [
        NewCandidate(prompt_id=prompt.pk, text="Yes.", origin="checkpoint:3", generation={"seed": 1, "index": 0}),
        NewCandidate(prompt_id=prompt.pk, text="Yes.", origin="checkpoint:3", generation={"seed": 1, "index": 1}),
        NewCandidate(prompt_id=prompt.pk, text="Yes.", origin="checkpoint:4"),
        NewCandidate(prompt_id=prompt.pk, text="  \n", origin="checkpoint:4"),
        NewCandidate(prompt_id=prompt.pk, text="N\0o \ud800.", origin="human:7"),
    ]
    assert add_candidates(project=prompt.project, candidates=iter(new), actor=actor) == 3
    assert add_candidates(project=prompt.project, candidates=new, actor=actor) == 0
    first, second, third = Candidate.objects.order_by("pk")
    assert (first.text, first.origin, first.generation) == ("Yes.", "checkpoint:3", {"seed": 1, "index": 0})
    assert second.origin == "checkpoint:4"
    assert third.text == "N\ufffdo ?."
    event = Event.objects.filter(verb="candidates.added").first()
    assert event.actor == actor
    assert event.after == {
        "given": 5, "added": 3, "blank": 1, "origins": {"checkpoint:3": 2, "checkpoint:4": 1, "human:7": 1}
    }  # fmt: skip


@pytest.mark.django_db
def test_all_or_none():
    prompt, stranger = PromptFactory(), PromptFactory()
    good = NewCandidate(prompt_id=prompt.pk, text="Yes.", origin="import:x")
    for bad, message in [
        (NewCandidate(prompt_id=stranger.pk, text="No.", origin="import:x"), "is not a prompt of the project"),
        (NewCandidate(prompt_id=prompt.pk, text="No.", origin="somewhere"), "none of checkpoint:ID, import:NAME"),
    ]:
        with pytest.raises(InvalidInput, match=message):
            add_candidates(project=prompt.project, candidates=[*[good] * 2001, bad], actor=None)
    assert not Candidate.objects.exists()
    assert not Event.objects.exists()


@given(seed=st.integers(0, 2**31 - 1), task=st.integers(1, 2**40), ids=st.lists(st.integers(1, 2**40), unique=True))
def test_the_order_is_steady_and_complete(seed, task, ids):
    order = presented_order(seed=seed, task_id=task, candidate_ids=ids)
    assert sorted(order) == sorted(ids)
    assert order == presented_order(seed=seed, task_id=task, candidate_ids=list(reversed(ids)))


@given(seed=st.integers(0, 2**31 - 1), start=st.integers(1, 10**9))
def test_each_origin_is_first_half_the_time(seed, start):
    """Ids come in file order, formal then informal: the order shown must not tell."""
    tasks = 2000
    first = sum(
        presented_order(seed=seed, task_id=start + n, candidate_ids=[2 * n, 2 * n + 1])[0] == 2 * n
        for n in range(tasks)
    )
    assert abs(first / tasks - 0.5) < 0.07, "six standard deviations"


@pytest.mark.django_db
def test_what_a_model_is_asked():
    project = ProjectFactory(persona="You are the concierge.\n")
    plain = PromptFactory(project=project, text="Is there a pool?")
    system = {"role": "system", "content": "You are the concierge."}
    user = {"role": "user", "content": "Is there a pool?"}
    assert conversation(plain, project) == [system, user]
    assert conversation(plain, ProjectFactory()) == [user]
    chat = [{"role": "system", "content": "Be brief."}, user]
    own = PromptFactory(project=project, text=user["content"], messages=chat, digest="x")
    assert conversation(own, project) == [{"role": "system", "content": "You are the concierge.\n\nBe brief."}, user]
    assert conversation(own, ProjectFactory()) == chat
    assert own.messages == chat, "the prompt itself is untouched"
