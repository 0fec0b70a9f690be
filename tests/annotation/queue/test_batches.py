"""Opening batches: which tasks there are, in what order, and what cannot be opened."""

import pytest
from django.core.management import call_command
from django.utils import timezone

from annotation.core.errors import Conflict, InvalidInput
from annotation.models import Assignment, Batch, Candidate, Event, Kind, Prompt, Qualification, Role, Task
from annotation.queue.batches import close_batch, open_batch, reopen_batch
from annotation.queue.left_out import left_out_sentences
from tests.annotation.helpers import ONE, TWO, batch_of, hotel, many
from tests.factories import CandidateFactory, ProjectFactory, PromptFactory, join

pytestmark = pytest.mark.django_db


def shape(batch):
    return list(Task.objects.filter(batch=batch).order_by("position").values_list("prompt_id", "candidate_ids"))


def test_choosing_makes_one_pair_a_prompt_with_overlap_slots_each():
    project = hotel(prompts=4)
    for _ in range(3):
        join(project, Role.ANNOTATOR)
    batch = batch_of(project, overlap=3)
    tasks = Task.objects.filter(batch=batch)
    assert tasks.count() == 4
    assert all(len(task.candidate_ids) == 2 and task.candidate_ids == sorted(task.candidate_ids) for task in tasks)
    slots = Assignment.objects.filter(batch=batch)
    assert slots.count() == 12
    assert set(slots.values_list("state", "slot")) == {("free", 1), ("free", 2), ("free", 3)}
    assert batch.selection == {
        "origins": None,
        "prompts": 4,
        "tasks": 4,
        "left_out": 0,
        "left_out_reasons": {},
        "same_reading": 0,
    }
    assert Event.objects.get(verb="batch.opened").object_id == batch.pk


def test_the_same_seed_gives_the_same_batch_and_another_seed_another_order():
    project = hotel(prompts=12)
    first, again = batch_of(project), batch_of(project)
    other = open_batch(project=project, kind=Kind.CHOOSING, name="other", actor=None, seed=6)
    assert shape(first) == shape(again)
    assert shape(first) != shape(other)
    assert [prompt for prompt, _ in shape(first)] != sorted(prompt for prompt, _ in shape(first))


def test_identical_outputs_are_never_asked_and_are_counted():
    project = hotel(prompts=2)
    same = PromptFactory(project=project)
    CandidateFactory(prompt=same, text="同じ", origin=ONE)
    CandidateFactory(prompt=same, text="同じ \n", origin=TWO)
    PromptFactory(project=project)
    batch = batch_of(project)
    assert batch.selection["left_out"] == 2
    assert not Task.objects.filter(batch=batch, prompt=same).exists()


def test_origins_decide_who_is_compared():
    project = hotel(prompts=3)
    for prompt in Prompt.objects.all():
        CandidateFactory(prompt=prompt, text="third", origin="import:third")
    batch = batch_of(project, origins=["import:third", ONE])
    for task in Task.objects.filter(batch=batch):
        origins = set(Candidate.objects.filter(pk__in=task.candidate_ids).values_list("origin", flat=True))
        assert origins == {"import:third", ONE}
    with pytest.raises(InvalidInput, match="two origins"):
        batch_of(project, origins=[ONE])


def test_scoring_asks_for_each_different_text_and_keeps_the_weights_that_hold():
    project = hotel(prompts=2)
    repeated = Prompt.objects.first()
    CandidateFactory(prompt=repeated, text=repeated.candidates.first().text, origin="import:again")
    batch = batch_of(project, Kind.SCORING)
    assert Task.objects.filter(batch=batch).count() == 4
    assert batch.weight_set.weights == {"meaning": 2, "register": 1}
    one = batch_of(project, Kind.SCORING, origins=[ONE])
    assert {len(ids) for _, ids in shape(one)} == {1}
    assert Task.objects.filter(batch=one).count() == 2


def with_more(prompts, *texts):
    """A project whose prompts have these texts besides their two."""
    project = hotel(prompts=prompts)
    for prompt in Prompt.objects.filter(project=project):
        for n, text in enumerate(texts):
            CandidateFactory(prompt=prompt, text=text, origin=f"import:{n}")
    return project


def test_a_ranking_takes_up_to_as_many_different_texts_as_asked():
    project = with_more(3, "third", "fourth", " third\r\n")
    few = PromptFactory(project=project)
    CandidateFactory(prompt=few, text="one", origin=ONE)
    CandidateFactory(prompt=few, text="other", origin=TWO)
    lone = PromptFactory(project=project)
    CandidateFactory(prompt=lone, text="Cafe\u0301", origin=ONE)
    CandidateFactory(prompt=lone, text="Caf\u00e9\u3000", origin=TWO)
    batch = batch_of(project, alternatives=3)
    sizes = {prompt: len(ids) for prompt, ids in shape(batch)}
    assert sizes.pop(few.pk) == 2
    assert list(sizes.values()) == [3, 3, 3], "the prompt of a single text is left out"
    assert (batch.alternatives, batch.selection["left_out"]) == (3, 1)
    assert {len(ids) for _, ids in shape(batch_of(project, alternatives=6))} == {2, 4}
    assert shape(batch_of(project, alternatives=3)) == shape(batch)


def test_a_ranking_of_origins_takes_one_of_each_and_leaves_each_its_only_text():
    project = with_more(4, "third", "shared")
    for prompt in Prompt.objects.all():
        CandidateFactory(prompt=prompt, text="shared", origin="import:0")
    batch = batch_of(project, alternatives=3, origins=[ONE, "import:0", "import:1"])
    for _, ids in shape(batch):
        found = Candidate.objects.filter(pk__in=ids)
        assert sorted(found.values_list("origin", flat=True)) == [ONE, "import:0", "import:1"]
        assert len({candidate.text for candidate in found}) == 3


@pytest.mark.parametrize(
    ("kind", "alternatives", "origins", "message"),
    [
        (Kind.CHOOSING, 1, None, "cannot show 1 alternatives: 2 to 6"),
        (Kind.CHOOSING, 7, None, "cannot show 7 alternatives: 2 to 6"),
        (Kind.SCORING, 0, None, "cannot show 0 alternatives: 1 to 6"),
        (Kind.CHOOSING, 3, [ONE, TWO], "compares as many origins; 2 given"),
    ],
)
def test_alternatives_that_cannot_be_say_why(kind, alternatives, origins, message):
    project = hotel(prompts=1)
    with pytest.raises(InvalidInput, match=message):
        batch_of(project, kind, alternatives=alternatives, origins=origins)


def test_scoring_deals_the_texts_of_a_prompt_evenly():
    project = with_more(2, "third", "fourth", "third")
    assert sorted(len(ids) for _, ids in shape(batch_of(project, Kind.SCORING, alternatives=3))) == [2, 2, 2, 2]
    assert sorted(len(ids) for _, ids in shape(batch_of(project, Kind.SCORING, alternatives=6))) == [4, 4]
    assert {len(ids) for _, ids in shape(batch_of(project, Kind.SCORING))} == {1}


LOOK_ALIKES = [
    ("Yes, please.", "Yes,\u00a0please."),
    ("Hello\u200b there", "Hello there"),
    ("がくせい", "か\u3099くせい"),
    ("Room 12", "Ｒｏｏｍ　１２"),
    ("Two blanks", "Two  blanks \r\n"),
    ("the same", "the same"),
]


def look_alike_project(*, more=()):
    """A project with one prompt for each pair of texts that read the same, `more` texts on each."""
    project = hotel(prompts=0)
    for pair in LOOK_ALIKES:
        prompt = PromptFactory(project=project)
        for number, text in enumerate([*pair, *more]):
            CandidateFactory(prompt=prompt, text=text, origin=[ONE, TWO, "import:3"][number])
    return project


@pytest.mark.parametrize("asked", [{}, {"alternatives": 3}, {"origins": [ONE, TWO]}, {"origins": [TWO, ONE]}])
def test_what_reads_the_same_is_never_a_choice(asked):
    with pytest.raises(InvalidInput, match="6 prompts left out: their candidates read the same"):
        batch_of(look_alike_project(), **asked)
    batch = batch_of(look_alike_project(more=["Something else."]), **asked | {"origins": None})
    assert batch.selection["same_reading"] == len(LOOK_ALIKES)
    for task in Task.objects.filter(batch=batch):
        texts = Candidate.objects.filter(pk__in=task.candidate_ids).values_list("text", flat=True)
        assert len(texts) == 2
        assert "Something else." in texts


def test_what_reads_the_same_is_scored_once():
    assert Task.objects.filter(batch=batch_of(look_alike_project(), Kind.SCORING)).count() == len(LOOK_ALIKES)
    side_by_side = batch_of(look_alike_project(more=["Something else."]), Kind.SCORING, alternatives=6)
    assert {len(ids) for _, ids in shape(side_by_side)} == {2}
    assert left_out_sentences(side_by_side.selection) == [
        "6 candidates are not shown because they read like another one of their prompt"
    ]


def test_a_ranking_of_origins_takes_the_text_that_reads_differently():
    project = hotel(prompts=0)
    prompt = PromptFactory(project=project)
    for origin, text in [(ONE, "one"), (TWO, "one\u200b"), (TWO, "two"), ("import:3", "three")]:
        CandidateFactory(prompt=prompt, text=text, origin=origin)
    ((_, ids),) = shape(batch_of(project, alternatives=3, origins=[ONE, TWO, "import:3"]))
    assert list(Candidate.objects.filter(pk__in=ids).values_list("text", flat=True)) == ["one", "two", "three"]


def test_a_batch_says_what_it_was_opened_without_and_why():
    project = hotel(prompts=2)
    bare = [PromptFactory(project=project) for _ in range(7)]
    lone = PromptFactory(project=project)
    CandidateFactory(prompt=lone, text="lone", origin=ONE)
    same = PromptFactory(project=project)
    CandidateFactory(prompt=same, text="same", origin=ONE)
    CandidateFactory(prompt=same, text=" same", origin=TWO)
    batch = batch_of(project)
    assert batch.selection["left_out"] == 9
    numbers = ", ".join(str(prompt.pk) for prompt in bare[:5])
    assert left_out_sentences(batch.selection) == [
        f"7 prompts left out: no candidate (prompt {numbers}, …)",
        f"1 prompt left out: only one candidate (prompt {lone.pk})",
        f"1 prompt left out: its candidates read the same (prompt {same.pk})",
    ]
    two = batch_of(project, origins=[ONE, TWO])
    assert left_out_sentences(two.selection)[0].startswith("7 prompts left out: no candidate from these origins")
    CandidateFactory(prompt=lone, text="another", origin=ONE)
    again = batch_of(project, origins=[ONE, TWO])
    assert f"1 prompt left out: no two different texts from these origins (prompt {lone.pk})" in left_out_sentences(
        again.selection
    )
    postediting = batch_of(project, Kind.POSTEDITING)
    assert postediting.selection["left_out_reasons"] == {
        "no_candidate": {"count": 7, "prompts": [prompt.pk for prompt in bare[:5]]}
    }
    assert left_out_sentences({"origins": None, "left_out": 3}) == [], "a batch from before reasons were counted"


def test_the_command_says_what_was_left_out(capsys):
    project = hotel(prompts=2)
    bare = PromptFactory(project=project)
    call_command("open_batch", project.slug, "choosing")
    *_amount, first, last = capsys.readouterr().out.splitlines()
    assert first == f"1 prompt left out: no candidate (prompt {bare.pk})."
    assert last.endswith("2 tasks, overlap 1")


def test_scoring_needs_aspects():
    project = ProjectFactory()
    with pytest.raises(InvalidInput, match="needs aspects"):
        batch_of(project, Kind.SCORING)


def test_writing_takes_no_candidates_and_postediting_one():
    project = hotel(prompts=2)
    assert [ids for _, ids in shape(batch_of(project, Kind.WRITING))] == [[], []]
    postediting = batch_of(project, Kind.POSTEDITING, origins=[TWO])
    assert set(Candidate.objects.filter(pk__in=[ids[0] for _, ids in shape(postediting)]).values_list("origin")) == {
        (TWO,)
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "guessing"}, "Unknown kind"),
        ({"overlap": 0}, "not possible"),
        ({"name": "  "}, "needs a name"),
        ({"prompts": Prompt.objects.none()}, "No prompts match"),
        (
            {"origins": ["import:a", "import:b"]},
            "None of the 2 prompts has two candidates .* from these origins: import:a · import:b",
        ),
    ],
)
def test_what_cannot_be_opened_says_why_and_leaves_nothing(change, message):
    project = hotel(prompts=2)
    with pytest.raises(InvalidInput, match=message):
        open_batch(**{"project": project, "kind": Kind.CHOOSING, "name": "x", "actor": None, **change})
    assert not Batch.objects.exists()


def test_a_choice_of_prompts_stays_within_the_project():
    project, other = hotel(prompts=4), hotel(prompts=1)
    limited = batch_of(project, prompts=Prompt.objects.filter(project=project).order_by("id")[:2])
    assert Task.objects.filter(batch=limited).count() == 2
    with pytest.raises(InvalidInput, match="No prompts match"):
        batch_of(project, prompts=Prompt.objects.filter(project=other))


def test_closing_and_reopening_once_each():
    batch = batch_of(hotel(prompts=1))
    close_batch(batch=batch, actor=None)
    assert batch.closed_at is not None
    with pytest.raises(Conflict, match="already closed"):
        close_batch(batch=batch, actor=None)
    reopen_batch(batch=batch, actor=None)
    assert Batch.objects.get().status == "open"
    assert list(Event.objects.order_by("id").values_list("verb", flat=True)) == [
        "batch.opened",
        "batch.closed",
        "batch.reopened",
    ]


def test_many_tasks_are_a_few_statements(django_assert_max_num_queries):
    project = hotel(prompts=0)
    many(project, 2_000)
    with django_assert_max_num_queries(14):
        batch = batch_of(project, overlap=3)
    assert Assignment.objects.filter(batch=batch).count() == 6_000


def test_a_batch_asks_only_for_a_test_of_its_project_and_kind():
    project, other = hotel(prompts=1), hotel(prompts=1)
    tests = {
        "another kind": Qualification.objects.create(project=project, name="Scores", kind=Kind.SCORING, seed=1),
        "another project": Qualification.objects.create(project=other, name="Theirs", kind=Kind.CHOOSING, seed=1),
        "retired": Qualification.objects.create(
            project=project, name="Old", kind=Kind.CHOOSING, seed=1, retired_at=timezone.now()
        ),
    }
    for test in tests.values():
        with pytest.raises(InvalidInput) as refused:
            batch_of(project, qualification=test)
        assert [field for field, _ in refused.value.problems] == ["qualification"]
    assert not Batch.objects.exists()
