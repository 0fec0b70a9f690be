"""A project with a row of everything, and the address of every page that it has: what the walks over all pages share.

The addresses are read from the URL resolver, so that a page added tomorrow is walked tomorrow.
"""

import json
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from annotation.answers.exclusions import exclude_answer, exclude_simulated, lift_exclusion
from annotation.answers.submission import submit
from annotation.checks.gold import enter_gold
from annotation.checks.rules import set_rules
from annotation.consent.withdrawals import withdraw
from annotation.datasets.freeze import freeze_dataset
from annotation.exchange.selection import Selection
from annotation.importing.judgements.uploads import UNDECIDED
from annotation.importing.run import stored_mapping
from annotation.members.memberships import invite
from annotation.members.messages import send_message
from annotation.members.pausing import pause_member
from annotation.models import (
    AnswerExport,
    Assignment,
    Batch,
    CheckProposal,
    Guideline,
    GuidelineClause,
    Import,
    Kind,
    Membership,
    PairMargin,
    PayRate,
    Project,
    Qualification,
    QualificationItem,
    Remark,
    Role,
    Task,
    User,
    Withdrawal,
)
from annotation.preparation.files import ReadOptions
from annotation.projects.aspects import save_aspects
from annotation.projects.guidelines import publish_guideline
from annotation.projects.pay import set_rate
from annotation.projects.reasons import save_reason_tags
from annotation.projects.settings import update_project
from annotation.qualification.attempts import start_attempt
from annotation.quality.run import assess
from annotation.queue.claims import claim_next
from annotation.reference.glossary import add_term
from annotation.reviewing.adjudication import adjudicate, take_back_last
from annotation.reviewing.verdicts import correct, reply_to_review
from tests.annotation.helpers import ONE, TWO, batch_of, plan_of
from tests.factories import CandidateFactory, ProjectFactory, PromptFactory, join
from training.contract.config import ModelSource, TrainingConfig
from training.models import Checkpoint, Evaluation, Generation, LearningCurve, Round, Run

# Addresses that no walk opens by GET: they are posted to, answer with a file, or only exist inside another page's flow.
NOT_PAGES = {
    "healthz",
    "import_faults",
    "import_rest",
    "dataset_file",
    "answer_export_file",
    "time_file",
    "withdrawal_file",
    "dashboard_people_file",
    "quality_file",
    "account_set_password",
    "account_reset_password_from_key",
    "services",  # for administrators only: tests/deploy/test_services.py
}


@dataclass
class World:
    project: Project
    people: dict[Role, User]
    values: dict[str, Any] = field(default_factory=dict)
    batches: dict[str, Batch] = field(default_factory=dict)
    judgements: int = 0  # an upload of recorded judgements
    divided: int = 0  # a task on which annotators disagree
    trial: int = 0  # a batch that tries a clause of the guideline

    def pages(self) -> list[tuple[str, str]]:
        """(name, address) of every address that may be a page; the work of each kind has one of its own."""
        found = []
        for name, keys in sorted(set(patterns())):
            if name in NOT_PAGES:
                continue
            missing = [key for key in keys if key not in self.values]
            assert not missing, f"{name} takes {missing}: put a row of it into tests/walks/every_page.py"
            given = {key: self.values[key] for key in keys}
            if name == "judgements_columns":
                found.append((name, reverse(name, args=[self.judgements])))
            elif (name.startswith("adjudicate_") and "task_id" in keys) or name == "checks_task_gold":
                found.append((name, reverse(name, args=[self.divided])))
            elif name == "trial_guideline":
                found.append((name, reverse(name, args=[self.trial])))
            elif name == "work":
                found += [(f"work ({kind})", reverse(name, args=[batch.pk])) for kind, batch in self.batches.items()]
            else:
                found.append((name, reverse(name, kwargs=given)))
        return found


def patterns(resolver: Any = None, prefix: str = "") -> Any:
    """(name, names of the converters) of every address under the site's root, but for the administration."""
    for item in (resolver or get_resolver()).url_patterns:
        route = prefix + str(item.pattern)
        if isinstance(item, URLResolver) and not route.startswith("administration/"):
            yield from patterns(item, route)
        elif isinstance(item, URLPattern) and item.name:
            yield item.name, tuple(item.pattern.converters)


def everything(
    *,
    languages: tuple[str, str] = ("en", "ja"),
    texts: tuple[str, str, str] = (
        "Could we have a quieter room?",
        "静かなお部屋をお願いできますか。",
        "静かな部屋がいい。",
    ),
    name: str = "ホテルの返信",
    slug: str = "hotel",
) -> World:
    """A project of four batches (one a kind) with tasks claimed, done and free, and a row of everything else."""
    source, good, poor = texts
    project = ProjectFactory(slug=slug, name=name, source_language=languages[0], target_language=languages[1])
    hana = join(project, Role.MANAGER, name="小林 花", email=f"hana@{slug}.example", is_staff=True)
    kei = join(project, Role.ANNOTATOR, name="森 慶", email=f"kei@{slug}.example")
    rin = join(project, Role.REVIEWER, name="林 凛", email=f"rin@{slug}.example")
    anchors = ["×", "△", "○"]
    (aspect,) = save_aspects(
        project=project, aspects=[{"name": "意味", "key": "meaning", "anchors": anchors}], actor=hana
    )
    publish_guideline(project=project, text="# 口調\n\n*丁寧*に。", based_on=0, actor=hana)
    guideline = publish_guideline(project=project, text="# 口調\n\nとても*丁寧*に。", based_on=1, actor=hana)
    save_reason_tags(project=project, names=["敬語", "意味"], actor=hana)
    invitation = invite(project=project, role=Role.REVIEWER, actor=hana)
    for n in range(4):
        prompt = PromptFactory(project=project, text=f"{source} {n}", held_out=n == 3)
        CandidateFactory(prompt=prompt, text=f"{good} {n}", origin=ONE)
        CandidateFactory(prompt=prompt, text=f"{poor} {n}", origin=TWO)
    batches = {kind: batch_of(project, kind) for kind in Kind.values}
    for number, batch in enumerate(batches.values(), 1):
        Batch.objects.filter(pk=batch.pk).update(name=f"第{number}回")
    writing = batches[Kind.WRITING]
    first = submit(assignment=hand(writing, rin), payload={"text": good}, annotator=rin).annotation
    mine = submit(assignment=hand(writing, kei), payload={"text": poor}, annotator=kei).annotation
    held = hand(writing, kei)
    send_message(project=project, member=rin, text=good, author=hana)
    send_message(project=project, member=rin, text=poor, author=rin)
    pause_member(membership=Membership.objects.get(user=kei), reason=good, actor=hana)
    review = correct(annotation=first, reviewer=hana, payload={"text": f"{good}{good}"}, note="丁寧に。")
    reply_to_review(review=review, author=rin, text="わかりました。")
    submit(assignment=hand(writing, rin), payload={"text": good}, annotator=rin)  # the one to review
    divided = disagree(batches[Kind.CHOOSING], project)
    tried = tried_of(guideline, divided, hana)
    assess(project)
    dataset = freeze_dataset(project=project, purpose="sft", actor=hana)
    Batch.objects.filter(pk=writing.pk).update(requires_review=True)
    exclusion = exclude_answer(annotation=mine, reason="原文と合いません。", actor=hana)
    lift_exclusion(exclusion=exclude_simulated(project=project, reason="試し。", actor=hana), actor=hana)
    remark = Remark.objects.create(task=mine.task, author=kei, kind="question", text="どのくらい丁寧に？")
    Remark.objects.create(task=held.task, author=kei, kind="comment", text="人名です。")
    test = Qualification.objects.create(project=project, name="丁寧さ", kind="choosing", seed=1)
    options = list(prompt.candidates.values_list("pk", flat=True))
    item = QualificationItem.objects.create(
        qualification=test,
        prompt=prompt,
        candidate_ids=options,
        position=1,
        expected={"choice": "tie", "chosen": None, "shown": options, "reasons": []},
    )
    start_attempt(qualification=test, user=kei)
    term = add_term(project=project, source=source.split()[0], target=good[:3], actor=hana)
    upload = Import.objects.create(project=project, filename="texts.csv", status=Import.Status.DONE, created_by=hana)
    report = {"states": {"current": 2}, "left_out": {"skips": 1}, "never": {"drafts": 3}}
    export = AnswerExport.objects.create(
        project=project,
        format="csv",
        selection=Selection(batches=(writing.pk,), current_only=True).as_dict(),
        status=AnswerExport.Status.DONE,
        path="exports/none",
        report=report,
        rows_written=2,
        created_by=hana,
        queued_at=timezone.now(),
        finished_at=timezone.now(),
    )
    values = {
        "slug": project.slug,
        "export_id": export.pk,
        "aspect_id": aspect.pk,
        "version": guideline.version,
        "invitation_id": invitation.pk,
        "membership_id": Membership.objects.get(user=rin).pk,
        "member_id": rin.pk,
        "batch_id": writing.pk,
        "task_id": held.task_id,
        "assignment_id": held.pk,
        "dataset_id": dataset.pk,
        "exclusion_id": exclusion.pk,
        "rate_id": rate_of(project, hana).pk,
        "plan_id": plan_of(writing, hana, "第二回").pk,
        "import_id": upload.pk,
        "prompt_id": prompt.pk,
        "candidate_id": options[0],
        "token": invitation.token,
        "annotation_id": mine.pk,
        "name": "manifest.json",
        "remark_id": remark.pk,
        "qualification_id": test.pk,
        "item_id": item.pk,
        "number": 1,
        "term_id": term.pk,
        "user_id": rin.pk,
        **checks_of(project, batches[Kind.CHOOSING], kei, hana),
        "withdrawal_id": withdrawn_of(project, hana).pk,
        "clause_id": tried.trial_id,
        **training_rows(project, dataset),
    }
    people = {Role.MANAGER: hana, Role.ANNOTATOR: kei, Role.REVIEWER: rin}
    return World(project, people, values, batches, judgements_of(project, hana, texts), divided, tried.pk)


def checks_of(project: Project, batch: Batch, person: User, manager: User) -> dict[str, int]:
    """Gold, a batch that has it, a rule, and what it proposes."""
    task = batch.tasks.order_by("position").last()
    assert task is not None
    shown = task.candidate_ids
    expected = {"choice": "one", "chosen": shown[0], "shown": shown, "strength": 1, "reasons": []}
    gold = enter_gold(task=task, expected=expected, explanation="敬語です。", actor=manager)
    set_rules(project=project, rules={"gold": {"warn": 70}}, actor=manager)
    estimate = {"value": 0.3, "low": 0.2, "high": 0.5, "n": 20, "hits": 6}
    about = {"project": project, "annotator": person, "measure": "gold", "threshold": 0.7, "estimate": estimate}
    proposal = CheckProposal.objects.create(**about, action="warn")
    now = timezone.now()
    decided = {"decided_at": now, "decided_by": manager, "confirmed": False}
    CheckProposal.objects.create(**about, action="requeue", batch=batch, **decided)
    return {"gold_id": gold.pk, "proposal_id": proposal.pk}


def judgements_of(project: Project, manager: User, texts: tuple[str, str, str]) -> int:
    """An upload of recorded judgements, of which one answer means nothing so far."""
    source, good, poor = texts
    row = {"text": source, "candidate_a": good, "candidate_b": poor, "worker": manager.email}
    path = Path(settings.UPLOADS_DIR) / f"judgements-{project.slug}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({**row, "answer": answer}) + "\n" for answer in ("a", "?")), encoding="utf-8")
    mapping = {**stored_mapping(None, ReadOptions()), "judgements": UNDECIDED}
    upload = Import.objects.create(
        project=project,
        filename="judgements.jsonl",
        path=path.name,
        mapping=mapping,
        status=Import.Status.UPLOADED,
        created_by=manager,
    )
    return upload.pk


def disagree(batch: Batch, project: Project) -> int:
    """Two people who give different answers to one task, which a reviewer decides next. The task's id."""
    Batch.objects.filter(pk=batch.pk).update(overlap=2)
    task = batch.tasks.first()
    for slot, side in enumerate((0, 1), 1):
        person = join(project, Role.ANNOTATOR, name=f"和 {slot}", email=f"kazu{slot}@{project.slug}.example")
        state = {"slot": slot + 5, "state": "held", "annotator": person, "position": task.position}
        leased = {"claimed_at": timezone.now(), "leased_until": timezone.now() + timedelta(hours=1)}
        held = Assignment.objects.create(task=task, batch=batch, **state, **leased)
        shown = task.candidate_ids
        payload = {"choice": "one", "chosen": shown[side], "shown": shown, "strength": 1, "reasons": []}
        submit(assignment=held, payload=payload, annotator=person)
    return int(task.pk)


def tried_of(guideline: Guideline, task: int, manager: User) -> Batch:
    """A batch that tries a clause about the task, with what was found so far; the task's decision; and margins."""
    of_task = Task.objects.get(pk=task)
    adjudicate(task=of_task, adjudicator=manager, cause="underspecified", note="敬語が要ります。")
    none = {"value": None, "low": None, "high": None, "n": 0, "tasks": 0, "undefined": "too few"}
    row = {"kind": "choosing", "measure": "choice", "aspect": "", "present": none, "proposed": none}
    row["difference"] = {"value": 0.2, "low": -0.1, "high": 0.5, "n": 40, "tasks": 20, "undefined": ""}
    clause = GuidelineClause.objects.create(
        project=guideline.project,
        text="敬語を使う。",
        task_ids=[task],
        status="trial",
        based_on=guideline,
        proposed=f"{guideline.text}\n\n敬語を使う。",
        seed=1,
        result={
            "answers": {"present": 4, "proposed": 4},
            "measures": [row],
            "computed_at": "2026-11-29T00:00:00+00:00",
        },
        created_by=manager,
    )
    take_back_last(project=guideline.project, adjudicator=manager)
    one, other = sorted(of_task.candidate_ids)
    PairMargin.objects.create(
        project=guideline.project,
        prompt=of_task.prompt,
        one=one,
        other=other,
        margin=2.5,
        origin=ONE,
        computed_at=timezone.now(),
    )
    return Batch.objects.create(
        project=guideline.project, name="試し", kind="choosing", overlap=2, seed=1, trial=clause, trial_arm="proposed"
    )


def hand(batch: Batch, person: User) -> Assignment:
    assignment = claim_next(batch=batch, annotator=person)
    assert assignment is not None
    return assignment


def withdrawn_of(project: Project, manager: User) -> Withdrawal:
    """A person who left, of whose answers a dataset and a promoted checkpoint are made."""
    former = join(project, Role.ANNOTATOR, name="前田 真", email=f"mae@{project.slug}.example")
    withdrawal = withdraw(project=project, person=former, mode="exclude", actor=manager, note="手紙で。")
    dataset = project.datasets.first()
    reached = [{"dataset": dataset.pk, "sha256": dataset.sha256, "train": 1, "held_out": 0}]
    Withdrawal.objects.filter(pk=withdrawal.pk).update(reached=reached, answers=1)
    return withdrawal


def rate_of(project: Project, actor: User) -> PayRate:
    priced = update_project(project=project, actor=actor, currency="EUR", budget=Decimal(1000))
    day = date(2026, 1, 1)
    return set_rate(project=priced, unit="hour", amount=Decimal(12), since=day, annotator=None, actor=actor)


def training_rows(project: Project, dataset: Any) -> dict[str, int]:
    """A run that is done with the checkpoint that it made, its evaluation, a generation and a round."""
    config = TrainingConfig(program="train_sft", run_id="1", model=ModelSource(base="/models/base"))
    done = {"status": "succeeded", "finished_at": timezone.now() - timedelta(minutes=1)}
    round = Round.objects.create(project=project, number=1)
    run = Run.objects.create(
        project=project,
        trainer=Run.Trainer.SFT,
        dataset=dataset,
        base_model="/models/base",
        config=asdict(config),
        round=round,
        **done,
    )
    checkpoint = Checkpoint.objects.create(
        project=project,
        run=run,
        dataset=dataset,
        form=Checkpoint.Form.values[0],
        path="runs/none",
        sha256="0" * 64,
        promoted_at=timezone.now(),
    )
    metrics = {"rows": 12, "chrf": 41.2, "parent_chrf": 33.0, "perplexity": 3.2}
    evaluation = Evaluation.objects.create(
        project=project, checkpoint=checkpoint, dataset=dataset, result={"metrics": metrics}, **done
    )
    generation = Generation.objects.create(project=project, checkpoint=checkpoint, **done)
    curve = LearningCurve.objects.create(project=project, dataset=dataset, shares=[0.5, 1.0])
    Run.objects.filter(pk=run.pk).update(curve=curve)
    return {
        "run_id": run.pk,
        "checkpoint_id": checkpoint.pk,
        "evaluation_id": evaluation.pk,
        "generation_id": generation.pk,
        "round_id": round.pk,
        "curve_id": curve.pk,
    }
