"""The only door: whoever is not in a project learns nothing of it, at any of its addresses.

The addresses are read from the URL resolver, so that a page added tomorrow is tested tomorrow.
"""

from dataclasses import asdict
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import Http404
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from annotation.core import access
from annotation.datasets.freeze import freeze_dataset
from annotation.exchange.selection import Selection
from annotation.members.accounts import BACKEND
from annotation.members.memberships import invite
from annotation.models import (
    Annotation,
    AnswerExport,
    Assignment,
    Batch,
    CheckProposal,
    Exclusion,
    GlossaryTerm,
    Gold,
    GuidelineClause,
    Import,
    Membership,
    PayRate,
    Qualification,
    QualificationItem,
    Remark,
    Role,
    Task,
    Withdrawal,
)
from annotation.projects.aspects import save_aspects
from annotation.projects.guidelines import publish_guideline
from annotation.projects.reasons import save_reason_tags
from tests.annotation.helpers import plan_of
from tests.factories import CandidateFactory, ProjectFactory, PromptFactory, UserFactory, join
from training.contract.config import ModelSource, TrainingConfig
from training.models import Checkpoint, Evaluation, Generation, LearningCurve, Round, Run

pytestmark = pytest.mark.django_db

# Addresses that belong to no project. The pages of accounts and administration have tests of their own.
COMMON = {
    "home",
    "all_projects",
    "project_new",
    "my_work",
    "my_time",
    "join",
    "language",
    "healthz",
    "preferences",
    "preferences_keys",
    "my_consent",
}
MANAGER_ONLY = {
    "answer_exclude",
    "exclusion_lift",
    "prompt_withdraw",
    "project_settings",
    "settings_guideline",
    "guideline_debugger",
    "clause",
    "clause_try",
    "clause_adopt",
    "clause_discard",
    "settings_guideline_version",
    "settings_aspects",
    "settings_aspect",
    "settings_aspect_retire",
    "settings_aspect_restore",
    "settings_weights",
    "settings_reasons",
    "settings_people",
    "settings_pay",
    "settings_rate_delete",
    "dashboard_people_file",
    "throughput",
    "plan",
    "kept_plan",
    "plan_delete",
    "settings_member_role",
    "settings_member_remove",
    "settings_member_pause",
    "settings_member_resume",
    "settings_invitation_revoke",
    "answer_exports",
    "answer_export_file",
    "answer_export_cancel",
    "answer_export_again",
    "answer_export_delete",
    "prompts",
    "import_new",
    "judgements_new",
    "judgements_columns",
    "import",
    "import_columns",
    "import_reread",
    "import_faults",
    "import_rest",
    "time_sheets",
    "time_file",
    "settings_glossary",
    "settings_glossary_import",
    "settings_glossary_term",
    "settings_glossary_remove",
    "settings_tests",
    "settings_tests_new",
    "settings_tests_results",
    "settings_tests_retire",
    "settings_tests_grant",
    "checks_gold_new",
    "checks_task_gold",
    "checks_gold_retire",
    "checks_decide",
    "batch_change",
    "batch_release_person",
    "task_give",
    "settings_consent",
    "withdrawals",
    "withdrawal",
    "withdrawal_receipt",
    "withdrawal_again",
    "withdrawal_file",
    "dataset_rebuild",
    "run_rebuild",
}
NO_FILE = {"import_faults", "import_rest", "answer_export_file", "withdrawal_file"}  # those of these tests have none
STAFF_ONLY = {
    # Of the reviewer with the managers; of anybody in a project, only with themselves.
    "conversation",
    "conversation_read",
    # Of annotators only where the project says so.
    "own_figures",
    "review",
    "reviews",
    "review_decide",
    "review_undo",
    "review_correct",
    "review_time",
    "adjudicate",
    "checks",
    "adjudicate_undo",
    "adjudicate_task",
    "adjudicate_own",
    "adjudicate_time",
    "second_look",
    "quality",
    "quality_file",
    "dashboard",
    "weekly_summary",
    "dashboard_answers",
    "exclusions",
    "task",
    "task_preview",
    "datasets",
    "dataset",
    "dataset_file",
    "runs",
    "run",
    "checkpoints",
    "checkpoint",
    "rounds",
    "remarks",
    "remark_answer",
    "remark_settle",
    "runs_compare",
    "run_metrics",
    "learning_curve",
}


def patterns(resolver=None, prefix=""):
    """(name, names of the converters) of every address under the site's root, but for accounts and administration."""
    for item in (resolver or get_resolver()).url_patterns:
        route = prefix + str(item.pattern)
        if isinstance(item, URLResolver) and not route.startswith(("accounts/", "administration/")):
            yield from patterns(item, route)
        elif isinstance(item, URLPattern) and item.name:
            yield item.name, tuple(item.pattern.converters)


ALL = sorted(set(patterns()))
SCOPED = [(name, keys) for name, keys in ALL if name not in COMMON]


def training_rows(project, dataset):
    config = TrainingConfig(program="train_sft", run_id="1", model=ModelSource(base="/models/base"))
    run = Run.objects.create(
        project=project, trainer=Run.Trainer.SFT, dataset=dataset, base_model="/models/base", config=asdict(config)
    )
    checkpoint = Checkpoint.objects.create(
        project=project, run=run, dataset=dataset, form=Checkpoint.Form.values[0], path="runs/none", sha256="0" * 64
    )
    return {
        "run_id": run.pk,
        "checkpoint_id": checkpoint.pk,
        "evaluation_id": Evaluation.objects.create(project=project, checkpoint=checkpoint, dataset=dataset).pk,
        "generation_id": Generation.objects.create(project=project, checkpoint=checkpoint).pk,
        "round_id": Round.objects.create(project=project, number=1).pk,
        "curve_id": LearningCurve.objects.create(project=project, dataset=dataset, shares=[0.5, 1.0]).pk,
    }


@pytest.fixture
def world():
    """A project with a row of everything; `world[key]` is the value for a converter of that name."""
    project = ProjectFactory(slug="hotel", name="Hotel replies")
    hana = join(project, Role.MANAGER, name="Hana")
    kei = join(project, Role.ANNOTATOR, name="Kei")
    rin = join(project, Role.REVIEWER, name="Rin")
    (aspect,) = save_aspects(project=project, aspects=[{"name": "Meaning", "anchors": ["a", "b"]}], actor=hana)
    guideline = publish_guideline(project=project, text="Be *polite*.", based_on=0, actor=hana)
    save_reason_tags(project=project, names=["Register"], actor=hana)
    invitation = invite(project=project, role=Role.ANNOTATOR, actor=hana)
    prompt = PromptFactory(project=project)
    candidate = CandidateFactory(prompt=prompt)
    batch = Batch.objects.create(project=project, name="First", kind="writing", overlap=1, seed=1)
    task = Task.objects.create(batch=batch, prompt=prompt, position=0)
    slot = Assignment.objects.create(
        task=task,
        batch=batch,
        slot=0,
        position=0,
        state="held",
        annotator=kei,
        claimed_at=timezone.now(),
        leased_until=timezone.now() + timedelta(hours=1),
    )
    answered = Task.objects.create(batch=batch, prompt=PromptFactory(project=project), position=1)
    done = Assignment.objects.create(task=answered, batch=batch, slot=0, position=1, state="done", annotator=rin)
    label = Annotation.objects.create(
        assignment=done, task=answered, annotator=rin, kind="writing", payload={"text": "はい。"}, guideline=guideline
    )
    dataset = freeze_dataset(project=project, purpose="sft", actor=hana)
    exclusion = Exclusion.objects.create(project=project, task=answered, annotator=rin, reason="Too short")
    rate = PayRate.objects.create(project=project, unit="hour", amount=12, since="2026-01-01")
    remark = Remark.objects.create(task=task, author=kei, kind="question", text="How polite?")
    upload = Import.objects.create(project=project, filename="texts.csv")
    export = AnswerExport.objects.create(
        project=project, format="csv", selection=Selection().as_dict(), created_by=hana, queued_at=timezone.now()
    )
    term = GlossaryTerm.objects.create(project=project, source="room", target="お部屋", folded="room")
    test = Qualification.objects.create(project=project, name="Politeness", kind="choosing", seed=1)
    item = QualificationItem.objects.create(
        qualification=test,
        prompt=prompt,
        candidate_ids=[candidate.pk],
        position=1,
        expected={"choice": "tie", "chosen": None, "shown": [candidate.pk], "reasons": []},
    )
    shown = [candidate.pk]
    gold = Gold.objects.create(project=project, kind="scoring", prompt=prompt, candidate_ids=shown, expected={})
    proposal = CheckProposal.objects.create(
        project=project,
        annotator=kei,
        action="warn",
        measure="gold",
        threshold=0.7,
        estimate={"value": 0.3, "low": 0.2, "high": 0.5, "n": 10},
    )
    former = UserFactory()
    withdrawal = Withdrawal.objects.create(project=project, person=former, mode="exclude")
    clause = GuidelineClause.objects.create(project=project, text="Use keigo.", task_ids=[task.pk])
    return {
        "project": project,
        "people": {Role.MANAGER: hana, Role.ANNOTATOR: kei, Role.REVIEWER: rin},
        "slug": "hotel",
        "aspect_id": aspect.pk,
        "version": guideline.version,
        "invitation_id": invitation.pk,
        "membership_id": Membership.objects.get(user=rin).pk,
        "member_id": rin.pk,
        "batch_id": batch.pk,
        "task_id": task.pk,
        "assignment_id": slot.pk,
        "dataset_id": dataset.pk,
        "exclusion_id": exclusion.pk,
        "rate_id": rate.pk,
        "plan_id": plan_of(batch, hana).pk,
        "import_id": upload.pk,
        "export_id": export.pk,
        "prompt_id": prompt.pk,
        "candidate_id": candidate.pk,
        "token": invitation.token,
        "annotation_id": label.pk,
        "name": "manifest.json",
        "remark_id": remark.pk,
        "qualification_id": test.pk,
        "item_id": item.pk,
        "number": 1,
        "term_id": term.pk,
        "user_id": rin.pk,
        "gold_id": gold.pk,
        "proposal_id": proposal.pk,
        "withdrawal_id": withdrawal.pk,
        "clause_id": clause.pk,
        **training_rows(project, dataset),
    }


def address(name, keys, world):
    missing = [key for key in keys if key not in world]
    assert not missing, f"{name} takes {missing}: put a row of it into the fixture `world`"
    return reverse(name, kwargs={key: world[key] for key in keys})


def ask(client, url):
    """What GET and POST answer, by method; a page that does not know a method says 405 to everybody."""
    answers = {"GET": client.get(url), "POST": client.post(url, {})}
    return {method: response for method, response in answers.items() if response.status_code != 405}


def test_a_stranger_finds_nothing_and_nobody_is_asked_to_sign_in(world, client):
    stranger = Client()
    stranger.force_login(join(ProjectFactory(), Role.MANAGER), backend=BACKEND)
    faults = []
    for name, keys in SCOPED:
        url = address(name, keys, world)
        for method, response in ask(client, url).items():
            if response.status_code != 302 or not response.url.startswith("/accounts/login/"):
                faults.append(f"{method} {url} without a sign-in: {response.status_code}")
        answers = ask(stranger, url)
        if not answers:
            faults.append(f"{url} knows neither GET nor POST")
        for method, response in answers.items():
            if response.status_code != 404:
                faults.append(f"{method} {url} as a manager of another project: {response.status_code}")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("role", Role.values)
def test_a_role_opens_its_pages_and_no_others(role, world, sign_in):
    client = sign_in(world["people"][Role(role)])
    faults = []
    for name, keys in SCOPED:
        if name not in MANAGER_ONLY | STAFF_ONLY:
            continue
        url = address(name, keys, world)
        if role == Role.MANAGER or (name in STAFF_ONLY and role == Role.REVIEWER):
            if (status := client.get(url).status_code) not in (200, 302, 405) and name not in NO_FILE:
                faults.append(f"GET {url}: {status}")
        else:
            faults += [f"{m} {url}: {r.status_code}" for m, r in ask(client, url).items() if r.status_code != 404]
    assert not faults, "\n".join(faults)


def test_pages_of_no_project_ask_to_sign_in(world, client):
    for name, keys in ALL:
        if name in COMMON - {"healthz", "join", "language"}:
            assert client.get(address(name, keys, world)).url.startswith("/accounts/login/"), name


# ---- every page keeps the content security policy ----


class Inline(HTMLParser):
    """Collects whatever the policy would block: inline scripts, styles and handlers."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        data = given.get("type") in ("application/json", "application/ld+json")
        if (tag == "script" and "src" not in given and not data) or tag == "style":
            self.found.append(tag)
        for name, value in attrs:
            if name == "style" or name.startswith("on") or (value or "").strip().lower().startswith("javascript:"):
                self.found.append(f"{tag} {name}={value}")
            if name in ("src", "action") and (value or "").startswith(("http:", "https:", "//")):
                self.found.append(f"{tag} {name}={value}")


def assert_strict(response, url):
    """The policy is there and without exceptions, and nothing on the page needs one."""
    policy = response.headers.get("Content-Security-Policy", "")
    assert "default-src 'self'" in policy, url
    assert "unsafe" not in policy, url
    assert response.headers["X-Frame-Options"] == "DENY", url
    if response.headers["Content-Type"].startswith("text/html"):
        parser = Inline()
        parser.feed(response.content.decode())
        assert not parser.found, f"{url}: {parser.found}"


@pytest.mark.parametrize("role", [Role.ANNOTATOR, Role.MANAGER])
def test_every_page_is_free_of_inline_code(role, world, sign_in):
    client = sign_in(world["people"][role])
    for name, keys in ALL:
        url = address(name, keys, world)
        response = client.get(url)
        assert response.status_code < 500, f"{url} as {role}"
        if not response.streaming:
            assert_strict(response, url)


ACCOUNTS = ["login/", "signup/", "password/reset/", "password/reset/done/", "password/reset/key/x-y/", "inactive/"]


@pytest.mark.parametrize("path", [*(f"/accounts/{path}" for path in ACCOUNTS), "/join/nonsense/", "/nowhere/"])
def test_pages_before_sign_in_are_too(path, client):
    response = client.get(path)
    assert_strict(response, path)
    assert b"look.css" in response.content, "and wear our look"


@pytest.mark.parametrize("path", ["/accounts/logout/", "/accounts/password/change/", "/accounts/reauthenticate/"])
def test_account_pages_after_sign_in_are_too(path, sign_in):
    response = sign_in(UserFactory()).get(path)
    assert response.status_code == 200
    assert_strict(response, path)
    assert b"look.css" in response.content


def test_a_form_without_its_token_is_refused_in_our_words():
    response = Client(enforce_csrf_checks=True).post("/accounts/login/", {"login": "x"})
    assert response.status_code == 403
    assert b"This page has expired" in response.content
    assert_strict(response, "csrf")


# ---- the door itself ----


def test_projects_of(world):
    project, people = world["project"], world["people"]
    other = ProjectFactory()
    for role, person in people.items():
        assert list(access.projects_of(person)) == [project]
        assert access.role_in(person, project) == role
        assert access.role_in(person, other) is None
        assert access.projects_of(person, access.MANAGERS).exists() == (role == Role.MANAGER)
    administrator = UserFactory(is_superuser=True)
    assert set(access.projects_of(administrator)) == {project, other}
    assert access.role_in(administrator, other) == Role.MANAGER


def test_nobody_gets_through_switched_off_or_unknown(world):
    project, hana = world["project"], world["people"][Role.MANAGER]
    hana.is_active = False
    switched_off_administrator = UserFactory(is_superuser=True, is_active=False)
    for person in (hana, switched_off_administrator, AnonymousUser(), UserFactory(), UserFactory(is_staff=True)):
        with pytest.raises(Http404):
            access.project_for(person, project.slug)
        with pytest.raises(Http404):
            access.batch_for(person, world["batch_id"])
        with pytest.raises(Http404):
            access.dataset_for(person, world["dataset_id"])
        with pytest.raises(Http404):
            access.import_for(person, world["import_id"])
        with pytest.raises(Http404):
            access.assignment_for(person, world["assignment_id"])


def test_a_task_in_hand_is_its_holders_alone(world):
    kei = world["people"][Role.ANNOTATOR]
    assert access.assignment_for(kei, world["assignment_id"]).annotator == kei
    for other in (world["people"][Role.MANAGER], UserFactory(is_superuser=True)):
        with pytest.raises(Http404):
            access.assignment_for(other, world["assignment_id"])
    Membership.objects.filter(user=kei).delete()
    with pytest.raises(Http404):
        access.assignment_for(kei, world["assignment_id"])


@pytest.mark.parametrize("role", Role.values)
def test_rows_by_role(role, world):
    person = world["people"][Role(role)]
    assert access.batch_for(person, world["batch_id"])
    may = {"dataset": role != Role.ANNOTATOR, "import": role == Role.MANAGER}
    for kind, row in (("dataset", world["dataset_id"]), ("import", world["import_id"])):
        door = getattr(access, f"{kind}_for")
        if may[kind]:
            assert door(person, row).pk == row
        else:
            with pytest.raises(Http404):
                door(person, row)
