"""Adding candidates."""

import pytest

from annotation.core.errors import InvalidInput
from annotation.importing.candidates import NewCandidate, add_candidates
from annotation.models import Candidate, Event
from tests.factories import PromptFactory, UserFactory


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
        "given": 5,
        "added": 3,
        "blank": 1,
        "origins": {"checkpoint:3": 2, "checkpoint:4": 1, "human:7": 1},
    }


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
