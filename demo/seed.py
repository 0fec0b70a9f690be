"""Set the demonstration up: people, projects, prompts, batches, and a base model in the making.

Each step looks whether it is done, so that a set-up that was cut short is completed by the next.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from annotation.importing.run import import_file
from annotation.models import Batch, Kind, Project, Prompt, User
from annotation.projects.aspects import save_aspects, save_weights
from annotation.projects.guidelines import publish_guideline
from annotation.projects.reasons import save_reason_tags
from annotation.projects.settings import create_project
from annotation.queue.batches import open_batch
from annotation.reference.glossary import add_term
from demo import concierge
from demo.accounts import PEOPLE, Account, ensure_people, join_project, simulated_annotators
from demo.phrases import GLOSSARY
from training.models import Run
from training.runs.create import create_run

Say = Callable[[str], None]
MANAGER = PEOPLE[2].email
SEED = 17
# A minute and a half on a quiet core: it has learned the grammar's sentences by then, and often which of them answers
# what. Steps are the limit, so that slow machines get the same model; seconds are for very slow ones.
BASE_MODEL_OPTIONS: dict[str, Any] = {
    "max_steps": 1_000,
    "max_seconds": 400.0,
    "learning_rate": 3e-3,
    "warmup_ratio": 0.05,
    "epochs": 20.0,
    "batch_size": 8,
    "max_length": 256,
    "logging_steps": 20,
    "threads": 1,  # on matrices this small, two threads wait for each other, and the site needs the other core
    "architecture": {
        "vocab_size": 2048,
        "hidden_size": 128,
        "layers": 2,
        "heads": 4,
        "intermediate_size": 352,
        "context": 512,
        "initializer_range": 0.08,
    },
}


@dataclass(frozen=True)
class Plan:
    """A batch of the demonstration: which prompts (by place in the file) and whose candidates."""

    kind: str
    name: str
    first: int
    last: int
    overlap: int
    origins: tuple[str, ...] | None
    priority: int = 0
    alternatives: int | None = None


CONCIERGE_BATCHES = (
    Plan(Kind.CHOOSING, "Pairs of answers", 1, 500, 3, None, priority=10),
    Plan(Kind.POSTEDITING, "Edit casual answers", 501, 560, 2, (concierge.CASUAL,)),
    Plan(
        Kind.SCORING,
        "Score three answers side by side",
        561,
        600,
        2,
        (concierge.FORMAL, concierge.CASUAL, concierge.FLAWED),
        alternatives=3,
    ),
    Plan(Kind.WRITING, "Write the concierge's answer", 601, 650, 2, None),
)
PHRASES_BATCHES = (
    Plan(Kind.CHOOSING, "Pairs of translations", 1, 30, 3, (concierge.POLITE, concierge.PLAIN), priority=10),
    Plan(Kind.POSTEDITING, "Make plain Japanese polite", 31, 50, 2, (concierge.PLAIN,)),
    Plan(Kind.SCORING, "Score two translations each", 51, 60, 2, (concierge.POLITE, concierge.PLAIN)),
    Plan(Kind.WRITING, "Translate a phrase", 61, 72, 2, None),
)


def seed(say: Say) -> list[Account]:
    """Everything that the demonstration needs; returns the four accounts."""
    people = ensure_people()
    manager = User.objects.get(email=MANAGER)
    if ensure_concierge(manager):
        say("The hotel concierge's project is ready.")
    if ensure_phrases(manager):
        say("The project of hotel phrases is ready.")
    return people


def ensure_concierge(manager: User) -> bool:
    project = Project.objects.filter(slug=concierge.CONCIERGE).first()
    new = project is None
    if project is None:
        project = create_project(
            name="Hotel concierge",
            slug=concierge.CONCIERGE,
            goal=Project.Goal.PERSONA,
            source_language="en",
            target_language="en",
            persona=concierge.PERSONA,
            held_out_share=concierge.HELD_OUT_SHARE,
            default_overlap=3,
            reason_tags=concierge.CONCIERGE_TAGS,
            is_demo=True,
            actor=manager,
        )
    furnish(
        project,
        manager,
        guideline=concierge.CONCIERGE_GUIDELINE,
        aspects=concierge.CONCIERGE_ASPECTS,
        weights=concierge.CONCIERGE_WEIGHTS,
        tags=concierge.CONCIERGE_TAGS,
    )
    ensure_prompts(project, manager, "grammar.jsonl", concierge.concierge_rows)
    ensure_batches(project, manager, "review-{:04}", CONCIERGE_BATCHES)
    ensure_base_run(project, manager)
    return new


def ensure_phrases(manager: User) -> bool:
    project = Project.objects.filter(slug=concierge.PHRASES_SLUG).first()
    new = project is None
    if project is None:
        project = create_project(
            name="Hotel phrases, English to Japanese",
            slug=concierge.PHRASES_SLUG,
            goal=Project.Goal.TRANSLATION,
            source_language="en",
            target_language="ja",
            default_overlap=2,
            reason_tags=concierge.PHRASES_TAGS,
            is_demo=True,
            actor=manager,
        )
    furnish(
        project,
        manager,
        guideline=concierge.PHRASES_GUIDELINE,
        aspects=concierge.PHRASES_ASPECTS,
        weights=concierge.PHRASES_WEIGHTS,
        tags=concierge.PHRASES_TAGS,
    )
    if not project.glossary.exists():
        for source, target, note in GLOSSARY:
            add_term(project=project, source=source, target=target, note=note, actor=manager)
    ensure_prompts(project, manager, "phrases.jsonl", concierge.phrase_rows)
    ensure_batches(project, manager, "phrase-{:02}", PHRASES_BATCHES)
    return new


def furnish(
    project: Project,
    manager: User,
    *,
    guideline: str,
    aspects: Iterable[Any],
    weights: dict[str, float],
    tags: Iterable[str],
) -> None:
    """People, guideline, aspects and tags; what a person has changed since stays as it is."""
    join_project(project, manager)
    simulated_annotators(project, 3)
    if not project.guidelines.exists():
        publish_guideline(project=project, text=guideline, based_on=0, actor=manager)
    if not project.aspects.exists():
        save_aspects(project=project, aspects=list(aspects), actor=manager)
        save_weights(project=project, weights=weights, actor=manager)
    if not project.reason_tags.exists():
        save_reason_tags(project=project, names=list(tags), actor=manager)


def ensure_prompts(project: Project, manager: User, filename: str, rows: Callable[[], Iterable[concierge.Row]]) -> None:
    """As any file is imported, with its record, and all rows at once. A project that an earlier version set up keeps
    its own."""
    if Prompt.objects.filter(project=project).exists():
        return
    path = demo_folder() / filename
    write_rows(path, rows())
    import_file(project=project, path=path, filename=filename, actor=manager)


def ensure_batches(project: Project, manager: User, external_id: str, plans: Sequence[Plan]) -> None:
    """Only where no round has begun: later batches are the manager's, and an earlier version had other plans."""
    names = set(Batch.objects.filter(project=project).values_list("name", flat=True))
    if names - {plan.name for plan in plans}:
        return
    for plan in plans:
        if plan.name in names:
            continue
        ids = [external_id.format(number) for number in range(plan.first, plan.last + 1)]
        open_batch(
            project=project,
            kind=plan.kind,
            name=plan.name,
            actor=manager,
            overlap=plan.overlap,
            prompts=Prompt.objects.filter(project=project, external_id__in=ids),
            origins=plan.origins,
            priority=plan.priority,
            alternatives=plan.alternatives,
            seed=SEED,
        )


def ensure_base_run(project: Project, manager: User) -> None:
    """A base model, trained from scratch by the worker while the site is in use already."""
    if Run.objects.filter(project=project, trainer=Run.Trainer.PRETRAIN).exists():
        return
    corpus = demo_folder() / "corpus.jsonl"
    write_rows(corpus, concierge.corpus_rows())
    create_run(
        project=project,
        trainer=Run.Trainer.PRETRAIN,
        dataset=None,
        actor=manager,
        corpus=corpus,
        options=BASE_MODEL_OPTIONS,
        evaluate=False,
    )


def base_run() -> Run | None:
    return Run.objects.filter(project__slug=concierge.CONCIERGE, trainer=Run.Trainer.PRETRAIN).order_by("-id").first()


def demo_folder() -> Path:
    folder = Path(settings.VAR) / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_rows(path: Path, rows: Iterable[concierge.Row]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
