"""The demonstration sets itself up once, and its simulated annotators work as people do, labelled as what they are."""

import io
from collections.abc import Iterable

import pytest
from django.core.management import CommandError, call_command

from annotation.consent.withdrawals import withdraw
from annotation.models import Annotation, Assignment, Batch, Candidate, Kind, Membership, Project, Prompt, Task, User
from annotation.queue.batches import open_batch
from demo import concierge
from demo.accounts import PEOPLE
from demo.judgement import fit, formality, made_formal
from demo.seed import seed
from training.models import Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def people():
    return seed(lambda text: None)


def run(*arguments: str, **options: object) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out, stderr=io.StringIO(), **options)
    return out.getvalue()


def counts() -> list[int]:
    models = (User, Project, Membership, Prompt, Candidate, Batch, Assignment, Run)
    return [model._default_manager.count() for model in models]


def check_choices(answers_by_task: Iterable[list[Annotation]]) -> None:
    """The formal answer that leaves nothing out is never the worse one."""
    origins = dict(Candidate.objects.values_list("pk", "origin"))
    unanimous = 0
    for answers in answers_by_task:
        shown = {origins[candidate] for candidate in answers[0].payload["shown"]}
        chosen = {origins.get(answer.payload.get("chosen"), "tie") for answer in answers}
        if concierge.FORMAL in shown:
            assert chosen <= {concierge.FORMAL, "tie"}
            ties = [answer for answer in answers if "chosen" not in answer.payload]
            assert all(answer.annotator.name.endswith("3") for answer in ties)  # lets small differences pass
            unanimous += chosen == {concierge.FORMAL}
    assert unanimous > 20


def check_edits(edits: list[tuple[str, str, bool]]) -> None:
    """Casual sentences were put formally and some were overlooked, nothing else was touched."""
    assert len(edits) == 15
    for original, text, unchanged in edits:
        assert formality(original) < 0 < formality(made_formal("", original))
        assert unchanged == (text == original)
        # The score ends at -1: of many casual sentences, one put formally may not lift it.
        assert formality(text) >= formality(original)
        assert made_formal("", text) == made_formal("", original)
    assert sum(formality(text) > formality(original) for original, text, _unchanged in edits) >= 10
    assert any(text != made_formal("", original) for original, text, _unchanged in edits)
    assert sum(unchanged for _original, _text, unchanged in edits) <= 2


def test_setting_up_twice_adds_nothing(people, client):
    before = counts()
    again = seed(lambda text: None)
    assert counts() == before
    assert again == people
    assert [person.role for person in people] == ["annotator", "reviewer", "manager", ""]
    for person in people:
        assert client.login(email=person.email, password=person.password)
    assert User.objects.filter(is_simulated=True).count() == 3
    assert Project.objects.filter(is_demo=True).count() == 2
    for project in Project.objects.all():
        assert {batch.kind for batch in project.batches.all()} == set(Kind.values)
    base = Run.objects.get()
    assert (base.trainer, base.status) == (Run.Trainer.PRETRAIN, Run.Status.QUEUED)
    assert (base.directory.dataset / "corpus.jsonl").stat().st_size > 1_000_000

    # A password that a person has changed since is not printed any more.
    user = User.objects.get(email=PEOPLE[0].email)
    user.set_password("a password of their own")
    user.save()
    assert [bool(person.password) for person in seed(lambda text: None)] == [False, True, True, True]

    # Who withdrew consent is not put back.
    left = withdraw(project=Project.objects.first(), person=user, mode="exclude", actor=user)
    seed(lambda text: None)
    assert not Membership.objects.filter(user=user, project=left.project).exists()

    # A site that an earlier version set up has other batches and texts: nothing is imported or opened again.
    project = Project.objects.get(slug=concierge.CONCIERGE)
    Batch.objects.filter(project=project, kind=Kind.CHOOSING).update(name="Pairs")
    writing = Batch.objects.get(project=project, kind=Kind.WRITING)
    Assignment.objects.filter(batch=writing).delete()
    Task.objects.filter(batch=writing).delete()
    writing.delete()
    Prompt.objects.filter(project=project, tasks=None).delete()
    before = counts()
    seed(lambda text: None)
    assert counts() == before


def test_simulated_annotators_answer_every_kind(people):
    for kind in Kind.values:
        batch = Batch.objects.get(project__slug=concierge.CONCIERGE, kind=kind)
        limit = "240" if kind == Kind.CHOOSING else "15"
        said = run("simulate", concierge.CONCIERGE, "--batch", str(batch.pk), "--limit", limit, "--error", "0")
        assert said.strip() == f"{limit} simulated annotations by 3 annotators"
    given = Annotation.objects.select_related("annotator", "task__prompt")
    assert all(annotation.annotator.is_simulated for annotation in given)
    assert len({annotation.annotator_id for annotation in given}) == 3
    texts = dict(Candidate.objects.values_list("pk", "text"))
    choices: dict[int, list[Annotation]] = {}
    edits: list[tuple[str, str, bool]] = []
    for annotation in given:
        payload = annotation.payload
        if annotation.kind == Kind.CHOOSING:
            choices.setdefault(annotation.task_id, []).append(annotation)
        elif annotation.kind == Kind.POSTEDITING:
            edits.append((texts[payload["candidate"]], payload["text"], payload["unchanged"]))
        elif annotation.kind == Kind.WRITING:
            assert formality(payload["text"]) > 0
        elif annotation.kind == Kind.SCORING:
            assert len(payload["scores"]) == 3  # side by side
            for candidate, scores in payload["scores"].items():
                assert set(scores) == {"register", "content", "language"}
                assert (scores["register"] > 3) == (formality(texts[int(candidate)]) > 0)
                fits = fit(annotation.task.prompt.text, texts[int(candidate)])
                assert (scores["content"] == 5) == (fits == 1)

    check_choices(choices.values())
    check_edits(edits)

    # A project that is no demonstration is left alone, and so is bad input.
    Project.objects.filter(slug=concierge.CONCIERGE).update(is_demo=False)
    for arguments, message in (
        ([concierge.CONCIERGE], "is no demonstration"),
        (["nothing"], "no project 'nothing'"),
        ([concierge.PHRASES_SLUG, "--error", "2"], "a share from 0 to 1"),
        ([concierge.PHRASES_SLUG, "--annotators", "0"], "1 to 20"),
        ([concierge.PHRASES_SLUG, "--batch", "0"], "no open batch 0"),
    ):
        with pytest.raises(CommandError, match=message):
            run("simulate", *arguments)


def test_simulated_annotators_disagree_where_people_would(people):
    """Whether a casual but complete answer is better than a formal one with a fault. Only these two are paired: which
    texts a batch pairs otherwise is drawn by their ids, and those depend on what was in the database before."""
    project = Project.objects.get(slug=concierge.CONCIERGE)
    prompts = Prompt.objects.filter(project=project, external_id__lte="review-0080")
    origins = [concierge.CASUAL, concierge.FLAWED]
    options = {"name": "Two kinds of fault", "prompts": prompts, "origins": origins, "overlap": 3}
    batch = open_batch(project=project, kind=Kind.CHOOSING, actor=None, **options)
    run("simulate", concierge.CONCIERGE, "--batch", str(batch.pk), "--error", "0")
    chosen: dict[int, set[int | None]] = {}
    for annotation in Annotation.objects.filter(task__batch=batch):
        chosen.setdefault(annotation.task_id, set()).add(annotation.payload.get("chosen"))
    assert len(chosen) == 80
    divided = sum(len(answers) > 1 for answers in chosen.values())
    assert divided > 5


def test_they_err_as_often_as_told_and_finish_the_batches(people):
    run("simulate", concierge.PHRASES_SLUG, "--error", "0.2")
    texts = dict(Candidate.objects.values_list("pk", "text"))
    chosen = [annotation.payload["chosen"] for annotation in Annotation.objects.filter(kind=Kind.CHOOSING)]
    edited = [annotation.payload["text"] for annotation in Annotation.objects.filter(kind=Kind.POSTEDITING)]
    assert (len(chosen), len(edited)) == (30 * 3, 20 * 2)
    wrong = sum(formality(texts[candidate], "ja") < 0 for candidate in chosen)
    wrong += sum(formality(text, "ja") < 0 for text in edited)
    assert 0.08 < wrong / 130 < 0.32
    assert run("simulate", concierge.PHRASES_SLUG).startswith("0 simulated annotations")
    for user in User.objects.filter(is_simulated=True):
        assert user.name.startswith("Simulated annotator ")
        assert not user.has_usable_password()


def test_no_demonstration_in_production(settings):
    settings.PRODUCTION = True
    with pytest.raises(CommandError, match="do not belong in production"):
        run("demo", "--set-up-only")
