"""What the tests of the queue share: a project with prompts and candidates, ready for batches of each kind."""

from datetime import timedelta

from annotation.core.time_zones import today_in
from annotation.dashboards.forecast import Interval
from annotation.models import Batch, Candidate, Kind, Plan, Project, Prompt, User
from annotation.planning.actions import keep_plan
from annotation.planning.estimate import Range, Results
from annotation.planning.wanted import Wanted
from annotation.queue.batches import open_batch
from tests.factories import (
    AspectFactory,
    CandidateFactory,
    GuidelineFactory,
    ProjectFactory,
    PromptFactory,
    ReasonTagFactory,
    WeightSetFactory,
)

ONE, TWO = "checkpoint:7", "import:hotel.csv"


def hotel(prompts: int = 3, **fields: object) -> Project:
    """A project of translations: prompts with a candidate of each of two origins, aspects, weights, reasons."""
    project = ProjectFactory(**fields)
    GuidelineFactory(project=project)
    AspectFactory(project=project, key="meaning", name="Meaning", question="Is anything lost or added?")
    AspectFactory(project=project, key="register", name="Register", anchors=["Rude", "Plain", "Polite"])
    WeightSetFactory(project=project, weights={"meaning": 2, "register": 1})
    for name in ("Register", "Meaning", "Fluency"):
        ReasonTagFactory(project=project, name=name)
    for n in range(prompts):
        prompt = PromptFactory(project=project, text=f"Could we have a quieter room, number {n}?")
        CandidateFactory(prompt=prompt, text=f"静かなお部屋{n}をお願いできますか。", origin=ONE)
        CandidateFactory(prompt=prompt, text=f"静かな部屋{n}がいい。", origin=TWO)
    return project


def batch_of(project: Project, kind: str = Kind.CHOOSING, **fields: object) -> Batch:
    return open_batch(project=project, kind=kind, name=f"{kind} batch", actor=None, seed=5, **fields)


def many(project: Project, count: int) -> None:
    """`count` more prompts with two candidates each, in bulk."""
    prompts = Prompt.objects.bulk_create(
        Prompt(project=project, text=f"Sentence {n}", digest=f"many-{n}") for n in range(count)
    )
    Candidate.objects.bulk_create(
        Candidate(prompt=prompt, text=f"{origin} {prompt.text}", origin=origin, digest=f"{origin}-{prompt.text}")
        for prompt in prompts
        for origin in (ONE, TWO)
    )


def plan_of(batch: Batch, actor: User | None, name: str = "Round two") -> Plan:
    """A kept plan for the batch."""
    agreement = {"percent": 0.8, "percent_low": 0.7, "percent_high": 0.9, "units": 100, "tasks": 100}
    agreement |= {"alpha": 0.6, "alpha_low": 0.5, "alpha_high": 0.7, "shares": [0.5, 0.5]}
    basis = {"answers": 200, "tasks": 100, "days": 3, "people": 4, "ties": 0.1, "first": None, "last": None}
    today = today_in(batch.project)
    return keep_plan(
        project=batch.project,
        name=name,
        kind=batch.kind,
        pilot=None,
        wanted=Wanted(tasks=500, overlap=2, people=4, hours=10.0, start=today),
        results=Results(
            hours=Interval(46.0, 40.0, 52.0),
            days=Interval(6.0, 5.0, 7.0),
            finish=(today, today + timedelta(days=1), today + timedelta(days=4)),
            money=Interval(552.0, 480.0, 624.0),
            currency="EUR",
            unpriced=0,
            width=(0.03, 0.05),
            power=Range(0.55, 0.55),
            needed=Range(900, 900),
        ),
        basis={**basis, "agreement": agreement},
        batch=batch,
        actor=actor,
    )
