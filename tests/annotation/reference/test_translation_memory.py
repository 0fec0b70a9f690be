"""Similar earlier texts: kept with the answer, found by what is alike, shown to whom they may be."""

import pytest
from django.core.management import call_command
from hypothesis import given
from hypothesis import strategies as st

from annotation.models import Annotation, Assignment, Kind, MemoryEntry, Prompt, Role, Task
from annotation.reference import translation_memory
from annotation.text.normalization import folded
from tests.annotation.helpers import batch_of, hotel
from tests.factories import CandidateFactory, ProjectFactory, PromptFactory, join

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    return hotel(prompts=0)


def answered(project, person, text, target, *, prompt=None, kind=Kind.WRITING):
    """An answer of `person`, submitted and remembered."""
    prompt = prompt or PromptFactory(project=project, text=text)
    if kind == Kind.POSTEDITING:
        CandidateFactory(prompt=prompt)
    batch = batch_of(project, kind, prompts=Prompt.objects.filter(pk=prompt.pk))
    slot = Assignment.objects.get(batch=batch)
    Assignment.objects.filter(pk=slot.pk).update(state="done", annotator=person)
    annotation = Annotation.objects.create(
        assignment=slot, task=slot.task, annotator=person, kind=kind, payload={"text": target}
    )
    translation_memory.store(annotation=annotation)
    return annotation


def seen(project, person, text, *, prompt=None, task=None, limit=3):
    found = translation_memory.similar(
        project=project,
        text=text,
        person=person,
        limit=limit,
        prompt_id=prompt.pk if prompt else 0,
        task_id=task.pk if task else 0,
    )
    return [hit.target for hit in found]


def test_what_is_alike_is_found_and_what_is_not_is_not(project):
    hana = join(project, Role.ANNOTATOR)
    answered(project, hana, "Could we have a quieter room on a higher floor?", "上の階の静かなお部屋をお願いします。")
    answered(project, hana, "Breakfast is served from seven to ten in the morning.", "朝食は七時から十時までです。")
    answered(project, hana, "部屋が静かで、よく眠れました。", "The room was quiet and I slept well.")
    near = translation_memory.similar(
        project=project, text="Could we have a quieter room on a lower floor?", person=hana, task_id=0, prompt_id=0
    )
    assert [hit.target for hit in near] == ["上の階の静かなお部屋をお願いします。"]
    assert near[0].similarity == pytest.approx(1 - 4 / 47, abs=0.02)
    assert seen(project, hana, "部屋は静かで、よく眠れた。") == ["The room was quiet and I slept well."]
    assert seen(project, hana, "ＣＯＵＬＤ we  have a quieter room on a higher floor?") == [
        "上の階の静かなお部屋をお願いします。"
    ]
    assert seen(project, hana, "An entirely different sentence about trains.") == []
    assert seen(project, hana, "") == seen(project, hana, " \n") == []


def test_another_project_is_another_memory(project):
    hana = join(project, Role.ANNOTATOR)
    answered(project, hana, "Could we have a quieter room?", "静かなお部屋を。")
    assert seen(ProjectFactory(), hana, "Could we have a quieter room?") == []


def test_nobody_sees_what_others_said_of_the_same_prompt(project):
    hana, kei = join(project, Role.ANNOTATOR), join(project, Role.ANNOTATOR)
    prompt = PromptFactory(project=project, text="Could we have a quieter room?")
    by_hana = answered(project, hana, prompt.text, "ハナの訳", prompt=prompt)
    other = PromptFactory(project=project, text="Could we have a quieter room, please?")
    assert seen(project, kei, prompt.text, prompt=prompt) == []
    assert seen(project, kei, other.text, prompt=other) == ["ハナの訳"]
    # One's own text of the same prompt, from another task, is at hand; that of this very task is in the editor.
    assert seen(project, hana, prompt.text, prompt=prompt) == ["ハナの訳"]
    assert seen(project, hana, prompt.text, prompt=prompt, task=by_hana.task) == []


def test_a_new_version_replaces_the_earlier_and_a_withdrawn_answer_is_forgotten(project):
    hana = join(project, Role.ANNOTATOR)
    annotation = answered(project, hana, "Where is the lift?", "リフトはどこ？")
    annotation.payload, annotation.version = {"text": "エレベーターはどこですか。"}, 2
    translation_memory.store(annotation=annotation)
    assert seen(project, hana, "Where is the lift?") == ["エレベーターはどこですか。"]
    translation_memory.discard(task_id=annotation.task_id, author=hana)
    assert not MemoryEntry.objects.exists()


def test_a_choice_is_remembered_only_with_a_fix(project):
    hana = join(project, Role.ANNOTATOR)
    annotation = answered(project, hana, "Where is the lift?", "x")
    annotation.kind, annotation.payload = Kind.CHOOSING, {"choice": "one", "fixes": {"1": "直した"}}
    annotation.version = 2
    translation_memory.store(annotation=annotation)
    assert MemoryEntry.objects.get().target == "直した"
    annotation.payload, annotation.version = {"choice": "tie"}, 3
    translation_memory.store(annotation=annotation)
    assert not MemoryEntry.objects.exists()


def test_remembering_is_one_statement(project, django_assert_num_queries):
    annotation = answered(project, join(project, Role.ANNOTATOR), "Where is the lift?", "どこ？")
    with django_assert_num_queries(1):
        translation_memory.store(annotation=annotation)
    annotation.kind, annotation.payload = Kind.SCORING, {"scores": {}}
    with django_assert_num_queries(0):
        translation_memory.store(annotation=annotation)


def test_the_memory_is_rebuilt_from_the_current_answers(project, capsys):
    hana, kei = join(project, Role.ANNOTATOR), join(project, Role.ANNOTATOR)
    answered(project, hana, "Where is the lift?", "エレベーターはどこですか。")
    answered(project, kei, "Where is the stair?", "階段はどこですか。", kind=Kind.POSTEDITING)
    withdrawn = answered(project, kei, "Where is the bar?", "バーはどこですか。")
    Annotation.objects.filter(pk=withdrawn.pk).update(is_current=False)
    MemoryEntry.objects.exclude(task=withdrawn.task).delete()
    call_command("rebuild_translation_memory", project.slug)
    assert "2 texts in the translation memory" in capsys.readouterr().out
    assert set(MemoryEntry.objects.values_list("target", flat=True)) == {
        "エレベーターはどこですか。",
        "階段はどこですか。",
    }
    assert Task.objects.count() == 3
    call_command("rebuild_memory", project.slug)
    former = capsys.readouterr()
    assert "2 texts" in former.out
    assert "rebuild_translation_memory" in former.err


@given(st.text(max_size=200), st.integers(1, 1000))
def test_a_sketch_fits_its_column_and_knows_its_project(text, project_id):
    numbers = translation_memory.sketch(text, project_id)
    assert len(numbers) in (0, translation_memory.BANDS)
    assert all(-(2**31) <= number < 2**31 for number in numbers)
    assert numbers == translation_memory.sketch(f"  {text}\n", project_id)
    assert not numbers or numbers != translation_memory.sketch(text, project_id + 1)
    assert bool(numbers) == bool(folded(text))


WORDS = [
    "the",
    "a",
    "quiet",
    "room",
    "with",
    "hotel",
    "breakfast",
    "could",
    "we",
    "have",
    "please",
    "near",
    "window",
    "and",
    "our",
    "key",
    "was",
    "very",
    "nice",
    "to",
    "stay",
]


@given(st.permutations(WORDS), st.integers(0, len(WORDS) - 1))
def test_a_text_with_one_word_changed_shares_a_number_with_its_former_self(words, at):
    changed = [*words[:at], "elevator", *words[at + 1 :]]
    assert set(translation_memory.sketch(" ".join(words), 1)) & set(translation_memory.sketch(" ".join(changed), 1))
