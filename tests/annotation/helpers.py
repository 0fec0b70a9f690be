"""What the tests of the queue share: a project with prompts and candidates, ready for batches of each kind."""

from annotation.models import Batch, Candidate, Kind, Project, Prompt
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
