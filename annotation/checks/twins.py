"""Damaged twins: tasks in which a candidate damaged by rule stands beside the candidate itself, or follows it alone."""

from collections.abc import Iterator

from django.db.models import CharField, Exists, F, OuterRef, QuerySet, Value
from django.db.models.functions import MD5, Cast, Concat

from annotation.checks.damage import Damaged, damaged
from annotation.checks.gold import CHECKABLE
from annotation.core.checks import DAMAGED, is_check
from annotation.core.exclusions import usable_prompts
from annotation.models import Batch, Candidate, GlossaryTerm, Gold, Prompt, Task, TaskCheck
from annotation.queue.check_tasks import NewCheck
from annotation.text.digests import text_digest
from annotation.text.normalization import normal_form

# Texts looked at for each twin that is wanted: not every text can be damaged by rule.
TRIES = 4
MOST_TERMS = 1_000


def new_twins(batch: Batch, count: int) -> list[NewCheck]:
    """Up to `count` twins, with their damaged candidates written. Texts that people wrote are never damaged."""
    if not count or batch.kind not in CHECKABLE:
        return []
    terms = list(GlossaryTerm.objects.filter(project=batch.project).values_list("target", flat=True)[:MOST_TERMS])
    made: list[NewCheck] = []
    for task, prompt, texts in (alone if batch.alternatives == 1 else together)(batch, count * TRIES):
        if len(made) == count:
            break
        original = next(iter(texts))
        worse = damaged(texts[original], language=batch.project.target_language, seed=batch.seed, terms=terms)
        if worse is None or normal_form(worse.text) in {normal_form(text) for text in texts.values()}:
            continue
        candidate = write(worse, original)
        shown = [candidate.pk] if task else sorted([*texts, candidate.pk])
        made.append(
            NewCheck(
                what=TaskCheck.What.TWIN,
                prompt=prompt,
                candidate_ids=shown,
                of_task=task,
                damage=worse.rule,
                worse_candidate=candidate.pk,
                of_candidate=original,
            )
        )
    return made


def write(worse: Damaged, original: int) -> Candidate:
    return Candidate.objects.create(
        prompt=None,
        text=worse.text,
        origin=f"{DAMAGED}{worse.rule}",
        digest=text_digest(worse.text),
        generation={"of": original},
    )


Source = tuple[
    int | None, int, dict[int, str]
]  # task to compare with, prompt, texts by candidate: the first is damaged


def alone(batch: Batch, count: int) -> Iterator[Source]:
    """Tasks of the batch with one text, which is shown damaged to those who scored it."""
    rows = Task.objects.filter(batch=batch).exclude(is_check("pk"))
    rows = rows.exclude(Exists(TaskCheck.objects.filter(of_task=OuterRef("pk"))))
    tasks = list(rows.order_by("position")[:count])  # early ones, so that there is room behind them
    texts = texts_by_id(key for task in tasks for key in task.candidate_ids)
    for task in tasks:
        if len(task.candidate_ids) == 1 and task.candidate_ids[0] in texts:
            yield task.pk, task.prompt_id, {task.candidate_ids[0]: texts[task.candidate_ids[0]]}


def together(batch: Batch, count: int) -> Iterator[Source]:
    """Prompts with a text to damage and, where tasks show more than two, further texts of theirs: first prompts that
    the batch does not have."""
    in_batch = Exists(Task.objects.filter(batch=batch, prompt=OuterRef("pk")))
    origins = batch.selection.get("origins")
    of_models = Candidate.objects.filter(prompt=OuterRef("pk")).exclude(text="").exclude(origin__startswith="human:")
    # Who met the prompt of gold would not get the gold.
    gold = Gold.objects.filter(prompt=OuterRef("pk"), retired_at=None)
    usable = usable_prompts(batch.project).filter(Exists(of_models), ~Exists(gold))
    for prompts in (usable.exclude(in_batch), usable.filter(in_batch)):
        keys = drawn(prompts, batch.seed, count)
        candidates: dict[int, list[tuple[int, str]]] = {}
        rows = Candidate.objects.filter(prompt__in=keys).exclude(text="").exclude(origin__startswith="human:")
        if origins:
            rows = rows.filter(origin__in=origins)
        order = MD5(Concat(Value(f"{batch.seed}:"), Cast(F("pk"), CharField())))
        for prompt, key, text in rows.order_by(order).values_list("prompt", "pk", "text"):
            candidates.setdefault(prompt, []).append((key, text))
        for prompt in keys:
            if prompt not in candidates:
                continue
            texts: dict[int, str] = {}
            read: set[str] = set()
            for key, text in candidates[prompt]:
                if len(texts) < batch.alternatives - 1 and normal_form(text) not in read:
                    texts[key] = text
                    read.add(normal_form(text))
            yield None, prompt, texts


def drawn(prompts: QuerySet[Prompt], seed: int, count: int) -> list[int]:
    order = MD5(Concat(Value(f"{seed}:twin:"), Cast(F("pk"), CharField())))
    return list(prompts.order_by(order, "pk").values_list("pk", flat=True)[:count])


def texts_by_id(keys: Iterator[int]) -> dict[int, str]:
    rows = Candidate.objects.filter(pk__in=list(keys)).exclude(text="").exclude(origin__startswith="human:").order_by()
    return dict(rows.values_list("pk", "text"))
