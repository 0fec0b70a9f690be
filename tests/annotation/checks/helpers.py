"""What the tests of checks share: a project with gold, batches with checks, and people who answer."""

from annotation.answers.submission import submit
from annotation.checks.gold import enter_gold
from annotation.checks.shares import Shares, open_checked_batch
from annotation.core.checks import is_check
from annotation.models import Batch, Gold, Kind, Project, Prompt, Role, Task, TaskCheck, User
from annotation.queue.batches import open_batch
from annotation.queue.claims import claim_next
from tests.annotation.helpers import hotel
from tests.factories import CandidateFactory, PromptFactory, join


def gold_in(project: Project, count: int = 2, *, kind: str = Kind.CHOOSING, explanation: str = "") -> list[Gold]:
    """Gold of prompts of its own, made by a manager: the first text is better, or scores 5 and 4."""
    manager = project.memberships.filter(role=Role.MANAGER).first()
    actor = manager.user if manager else join(project, Role.MANAGER)
    first = Gold.objects.count()
    texts = [f"Is breakfast included in rate {first + n}?" for n in range(count)]
    prompts = [PromptFactory(project=project, text=text) for text in texts]
    for prompt in prompts:
        CandidateFactory(prompt=prompt, text=f"朝食{prompt.pk}は料金に含まれていますか。", origin="checkpoint:7")
        if kind == Kind.CHOOSING:
            CandidateFactory(prompt=prompt, text=f"朝ごはん{prompt.pk}込みなの。", origin="import:hotel.csv")
    rows = Prompt.objects.filter(pk__in=[prompt.pk for prompt in prompts])
    source = open_batch(project=project, kind=kind, name="Earlier requests", actor=actor, prompts=rows, overlap=1)
    Batch.objects.filter(pk=source.pk).update(status=Batch.Status.CLOSED)
    return [
        enter_gold(task=task, expected=answer_to(task, kind), explanation=explanation, actor=actor)
        for task in source.tasks.order_by("position")
    ]


def answer_to(task: Task, kind: str = Kind.CHOOSING, best: int = 0) -> dict:
    """The candidate at place `best` is the better one."""
    ids = sorted(task.candidate_ids)
    if kind == Kind.CHOOSING:
        return {"choice": "one", "chosen": ids[best], "shown": ids, "strength": 2, "reasons": []}
    if kind == Kind.SCORING:
        return {"scores": {str(key): {"meaning": 5 - best, "register": 3} for key in ids}, "comment": ""}
    return {"text": f"訳文 {task.pk}"}


def checked_hotel(prompts: int = 12, *, gold: int = 2, slug: str = "hotel", **shares: int) -> tuple[Project, Batch]:
    """A project with gold of its own and a batch of choices with checks."""
    project = hotel(prompts=prompts, slug=slug, held_out_share=0)
    chosen = list(project.prompts.values_list("pk", flat=True))
    if gold:
        gold_in(project, gold)
    return project, batch_with(project, chosen, **shares)


def batch_with(
    project: Project, prompts: list[int], *, kind: str = Kind.CHOOSING, overlap: int = 1, **shares: int
) -> Batch:
    return open_checked_batch(
        project=project,
        kind=kind,
        name="Room requests",
        actor=None,
        seed=5,
        overlap=overlap,
        prompts=Prompt.objects.filter(pk__in=prompts),
        shares=Shares(**shares),
    )


def answer_all(batch: Batch, person: User, best: int = 0, most: int = 1_000) -> list[Task]:
    """Everything that this person gets, in order, answered alike."""
    tasks: list[Task] = []
    while len(tasks) < most and (held := claim_next(batch=batch, annotator=person)):
        submit(assignment=held, payload=answer_to(held.task, batch.kind, best), annotator=person)
        tasks.append(held.task)
    return tasks


def of_kind(batch: Batch, what: str) -> set[int]:
    return set(TaskCheck.objects.filter(batch=batch, what=what).values_list("task", flat=True))


def labels_in(batch: Batch) -> int:
    return batch.tasks.exclude(is_check("pk")).count()
