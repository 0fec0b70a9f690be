"""What annotators see of themselves, where the project lets them: their row, and what their work changed."""

from collections import defaultdict
from collections.abc import Collection as Items
from dataclasses import dataclass, replace
from math import sqrt
from statistics import fmean, stdev

from django.db.models import Exists, OuterRef, QuerySet
from rapidfuzz.distance import Levenshtein

from annotation.core.checks import is_check
from annotation.dashboards.collection import Person, Work, collection_of
from annotation.dashboards.trust import PersonRow, age_sentence, person_row
from annotation.models import Analysis, Annotation, Assignment, Batch, Candidate, Kind, Project, Task, User
from annotation.text.edit_distance import tokens

WRITTEN = (Kind.WRITING, Kind.POSTEDITING)
BY_MODELS = "checkpoint:"
MOST_COMPARED = 200  # answers, the newest
FEWEST = 10
Z = 1.96


@dataclass(frozen=True)
class OwnFigures:
    """`row` and `age` come from the newest analysis; `row` is None before the first one that knows the person."""

    today: Work
    in_all: Work
    row: PersonRow | None
    age: str


def own_figures(project: Project, user: User) -> OwnFigures:
    """Of this person alone: nothing here names or counts anybody else, but for the pace that others set."""
    found = collection_of(project)
    person = next((person for person in found.people if person.user.pk == user.pk), None)
    analysis = Analysis.objects.filter(project=project, name=Analysis.Name.PEOPLE).first()
    row = stored_row(project, person, analysis) if person and analysis else None
    return OwnFigures(
        today=person.today if person else Work(),
        in_all=person.in_all if person else Work(),
        row=row,
        age=age_sentence(analysis.computed_at) if analysis and row else "",
    )


def stored_row(project: Project, person: Person, analysis: Analysis) -> PersonRow | None:
    """Without links: the rows behind the figures are on a page for reviewers."""
    stored = next((row for row in analysis.result["people"] if row["person"] == person.user.pk), None)
    if stored is None:
        return None
    row = person_row(project, person, stored)
    figures = {name: replace(getattr(row, name), url="") for name in ("pace", "drift", "fast", "skips")}
    return replace(row, attention=[], **figures)


# ---- what their work changed ----


@dataclass(frozen=True)
class Change:
    """An answer that this person wrote or edited, and what models answer to the same prompt.

    `before` is what they edited, or the newest text of a model at that time (None: no model had answered); `after` is
    the newest since. `edits_before` and `edits_after` are the shares of words (characters where words have no spaces)
    by which these differ from the person's text, from 0 to 1.
    """

    answer: Annotation
    before: str | None
    own: str
    after: str
    edits_before: float | None
    edits_after: float


@dataclass(frozen=True)
class Effect:
    """Means over `n` answers for which there is a before and an after; `low` and `high` bound the mean difference with
    95 % confidence, the answers taken as independent."""

    before: float
    after: float
    low: float
    high: float
    n: int


def answered_again(project: Project, user: User) -> QuerySet[Annotation]:
    """This person's current written and edited answers to which a model answered later, newest first.

    Without those whose prompts have tasks in an open batch: the person may still get one, and would know the model's
    text by it.
    """
    open_tasks = Task.objects.filter(prompt=OuterRef("task__prompt"), batch__status=Batch.Status.OPEN)
    later = Candidate.objects.filter(
        prompt=OuterRef("task__prompt"), origin__startswith=BY_MODELS, created_at__gt=OuterRef("created_at")
    )
    rows = Annotation.objects.filter(
        Exists(later),
        ~Exists(open_tasks),
        ~is_check(),
        task__batch__project=project,
        task__batch__trial=None,
        annotator=user,
        is_current=True,
        kind__in=WRITTEN,
        assignment__state=Assignment.State.DONE,
    )
    return rows.select_related("task__prompt", "task__batch").order_by("-created_at", "-pk")


def changes_of(answers: Items[Annotation], language: str) -> list[Change]:
    """Each of these answers (of `answered_again`) with the models' texts. Two queries."""
    prompts = {answer.task.prompt_id for answer in answers}
    by_prompt: dict[int | None, list[Candidate]] = defaultdict(list)
    made = Candidate.objects.filter(prompt__in=prompts, origin__startswith=BY_MODELS)
    for candidate in made.order_by("created_at", "pk"):
        by_prompt[candidate.prompt_id].append(candidate)
    edited = {answer.payload.get("candidate") for answer in answers} - {None}
    texts = dict(Candidate.objects.filter(pk__in=edited).order_by().values_list("pk", "text"))
    changes = []
    for answer in answers:
        own = answer.payload["text"]
        earlier = [row.text for row in by_prompt[answer.task.prompt_id] if row.created_at <= answer.created_at]
        later = [row.text for row in by_prompt[answer.task.prompt_id] if row.created_at > answer.created_at]
        before = texts.get(answer.payload.get("candidate"), earlier[-1] if earlier else None)
        changes.append(
            Change(
                answer=answer,
                before=before,
                own=own,
                after=later[-1],
                edits_before=None if before is None else distance(before, own, language),
                edits_after=distance(later[-1], own, language),
            )
        )
    return changes


def distance(text: str, other: str, language: str) -> float:
    return float(Levenshtein.normalized_distance(tokens(text, language), tokens(other, language)))


def effect_of(changes: Items[Change]) -> Effect | None:
    """None for fewer than ten answers with a before."""
    pairs = [(row.edits_before, row.edits_after) for row in changes if row.edits_before is not None]
    if len(pairs) < FEWEST:
        return None
    differences = [before - after for before, after in pairs]
    middle, half = fmean(differences), Z * stdev(differences) / sqrt(len(pairs))
    return Effect(
        before=fmean(before for before, _after in pairs),
        after=fmean(after for _before, after in pairs),
        low=middle - half,
        high=middle + half,
        n=len(pairs),
    )
