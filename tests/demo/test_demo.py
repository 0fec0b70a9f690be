"""The demonstration sets itself up once, and its simulated annotators work as people do, labelled as what they are."""

import io

import pytest
from django.core.management import CommandError, call_command

from annotation.models import Annotation, Assignment, Batch, Candidate, Kind, Membership, Project, Prompt, User
from demo import concierge
from demo.accounts import PEOPLE
from demo.judgement import formality
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


def test_simulated_annotators_answer_every_kind(people):
    for kind in Kind.values:
        batch = Batch.objects.get(project__slug=concierge.CONCIERGE, kind=kind)
        said = run("simulate", concierge.CONCIERGE, "--batch", str(batch.pk), "--limit", "15", "--error", "0")
        assert said.strip() == "15 simulated annotations by 3 annotators"
    given = Annotation.objects.select_related("annotator", "task__prompt")
    assert all(annotation.annotator.is_simulated for annotation in given)
    assert len({annotation.annotator_id for annotation in given}) == 3
    texts = dict(Candidate.objects.values_list("pk", "text"))
    for annotation in given:
        payload = annotation.payload
        if annotation.kind == Kind.CHOOSING:
            assert payload["choice"] == "one"
            assert formality(texts[payload["chosen"]]) > 0
            assert "more formal" in payload["reasons"]
        elif annotation.kind == Kind.POSTEDITING:
            assert not payload["unchanged"]
            assert formality(payload["text"]) > 0 > formality(texts[payload["candidate"]])
        elif annotation.kind == Kind.WRITING:
            assert formality(payload["text"]) > 0
        else:
            ((candidate, scores),) = payload["scores"].items()
            assert set(scores) == {"register", "content", "language"}
            assert (scores["register"] > 3) == (formality(texts[int(candidate)]) > 0)

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
