"""Margins: how much more a checkpoint prefers one candidate of a prompt than another, by its implicit reward.

The reward of a text is beta times the log of how much likelier the checkpoint makes it than the model that its run
started from; a margin is the difference of two rewards (Rafailov et al. 2023). The program `evaluate` scores the texts:
each once, as the sides of rows that pair a prompt's candidates, and asks for no answers.
"""

import json
import math
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.core.errors import Conflict, InvalidInput
from annotation.core.events import record
from annotation.models import Candidate, PairMargin, Prompt, User
from annotation.text.conversation import conversation
from training.contract.config import EvaluationConfig
from training.contract.run_directory import HELD_OUT
from training.engine_jobs.queue import code_versions, enqueue
from training.models import Checkpoint, MarginScoring
from training.results.checkpoints import model_source
from training.results.evaluations import starting_model

MOST_PROMPTS = 20_000
MOST_TEXTS = 8  # of a prompt; their pairs are what grows
PROMPTS_AT_ONCE = 1_000
MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
ROW = pa.schema(
    [
        ("prompt", MESSAGES),
        ("chosen", MESSAGES),
        ("rejected", MESSAGES),
        ("prompt_id", pa.int64()),
        ("one", pa.int64()),
        ("other", pa.int64()),
    ]
)


@transaction.atomic
def create_margin_scoring(
    *,
    checkpoint: Checkpoint,
    prompts: QuerySet[Prompt],
    actor: User | None,
    options: Mapping[str, Any] | None = None,
    allow_other_base: bool = False,
) -> MarginScoring:
    """A queued scoring of these prompts' candidates; when it is done, its margins replace the project's.

    Raises InvalidInput where no prompt has two different texts, or more than `MOST_PROMPTS` are chosen, and for a
    checkpoint of a base model made from scratch: there is nothing to measure its reward against.
    """
    reference = starting_model(checkpoint.run)
    if reference is None:
        raise InvalidInput(
            _("checkpoint %(number)s started from no model, and a margin compares it with the one it started from")
            % {"number": checkpoint.pk}
        )
    model = model_source(checkpoint)
    if allow_other_base:
        model, reference = replace(model, allow_other_base=True), replace(reference, allow_other_base=True)
    run = checkpoint.run
    scoring = MarginScoring(project=checkpoint.project, checkpoint=checkpoint)
    enqueue(
        scoring,
        configure=lambda name: EvaluationConfig(
            run_id=name,
            model=model,
            reference=reference,
            sample_outputs=0,
            metrics_limit=0,
            versions=code_versions(),
            **{
                "beta": run.config.get("beta", 0.1),
                "max_length": run.config.get("max_length", 1024),
                "threads": run.config.get("threads", 0),
                **(options or {}),
            },
        ),
        actor=actor,
    )
    scoring.prompts_count = write_rows(scoring, prompts)
    if not scoring.prompts_count:
        raise InvalidInput(_("none of these prompts has two different texts: import or generate candidates first"))
    scoring.save(update_fields=["prompts_count"])
    return scoring


def write_rows(scoring: MarginScoring, prompts: QuerySet[Prompt]) -> int:
    """The rows that the engine scores; returns of how many prompts. Raises InvalidInput for too many."""
    ids = list(prompts.order_by("pk").values_list("pk", flat=True)[: MOST_PROMPTS + 1])
    if len(ids) > MOST_PROMPTS:
        raise InvalidInput(_("more than %(most)s prompts: narrow them, or set a limit") % {"most": f"{MOST_PROMPTS:,}"})
    folder = scoring.directory.dataset
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    with pq.ParquetWriter(folder / HELD_OUT, ROW) as writer:
        for start in range(0, len(ids), PROMPTS_AT_ONCE):
            rows = []
            for prompt, texts in candidates_of(ids[start : start + PROMPTS_AT_ONCE]):
                messages = conversation(prompt.text, prompt.messages, scoring.project.persona)
                rows += [row_of(prompt.pk, messages, one, other) for one, other in paired(texts)]
                count += 1
            if rows:
                writer.write_table(pa.Table.from_pylist(rows, ROW))
    return count


def candidates_of(ids: Iterable[int]) -> Iterator[tuple[Prompt, list[Candidate]]]:
    """Each of these prompts that has two different texts or more, with the first `MOST_TEXTS` of them."""
    by_prompt: dict[int, dict[str, Candidate]] = defaultdict(dict)
    for candidate in Candidate.objects.filter(prompt__in=list(ids)).exclude(text="").order_by("pk"):
        if candidate.prompt_id and candidate.text.strip():
            by_prompt[candidate.prompt_id].setdefault(candidate.text, candidate)
    prompts = Prompt.objects.in_bulk(by_prompt)
    for pk, texts in sorted(by_prompt.items()):
        if len(texts) > 1:
            yield prompts[pk], list(texts.values())[:MOST_TEXTS]


def paired(texts: list[Candidate]) -> list[tuple[Candidate, Candidate]]:
    """Rows in which each text stands once; of an odd number the first one twice."""
    whole = texts if len(texts) % 2 == 0 else [*texts, texts[0]]
    return list(zip(whole[::2], whole[1::2], strict=True))


def row_of(prompt: int, messages: list[dict[str, str]], one: Candidate, other: Candidate) -> dict[str, Any]:
    return {
        "prompt": messages,
        "chosen": [{"role": "assistant", "content": one.text}],
        "rejected": [{"role": "assistant", "content": other.text}],
        "prompt_id": prompt,
        "one": one.pk,
        "other": other.pk,
    }


def ingest_margins(scoring: MarginScoring) -> int:
    """Replace the project's margins with what the engine scored; returns how many there are. The rows with their texts
    are deleted: what is kept is numbers. Texts longer than `max_length` are cut as in training; rows of which
    nothing is left have no margin. `result["rows"]` counts both."""
    rewards: dict[int, dict[int, float]] = defaultdict(dict)  # by prompt and candidate
    for prompt, candidate, reward in read_rewards(scoring):
        if not math.isfinite(reward):
            raise Conflict(_("a reward of prompt %(prompt)s is not finite") % {"prompt": prompt})
        rewards[prompt].setdefault(candidate, reward)
    known = set(Prompt.objects.filter(pk__in=rewards, project=scoring.project).values_list("pk", flat=True))
    now, origin = timezone.now(), scoring.checkpoint.origin
    with transaction.atomic():
        PairMargin.objects.filter(project=scoring.project).delete()
        rows = PairMargin.objects.bulk_create(
            (
                PairMargin(
                    project=scoring.project,
                    prompt_id=prompt,
                    one=one,
                    other=other,
                    margin=of_prompt[one] - of_prompt[other],
                    origin=origin,
                    computed_at=now,
                )
                for prompt, of_prompt in rewards.items()
                if prompt in known
                for one, other in combinations(sorted(of_prompt), 2)
            ),
            batch_size=5_000,
        )
        after = {"origin": origin, "margins": len(rows), "prompts": len(known)}
        record(verb="margins.replaced", target=scoring, actor=None, project=scoring.project, after=after)
    shutil.rmtree(scoring.directory.dataset, ignore_errors=True)
    return len(rows)


def read_rewards(scoring: MarginScoring) -> Iterator[tuple[int, int, float]]:
    """(prompt, candidate, reward) of each side that was scored."""
    path = scoring.directory.dataset / HELD_OUT
    if not path.is_file() or not scoring.directory.scores_path.is_file():
        raise Conflict(_("%(scoring)s left no scores") % {"scoring": scoring})
    rows = pq.read_table(path, columns=["prompt_id", "one", "other"]).to_pylist()
    beta = float(scoring.config["beta"])
    with scoring.directory.scores_path.open(encoding="utf-8") as file:
        for line in file:
            score = json.loads(line)
            row = rows[score["row"]]
            for key, side in (("one", "chosen"), ("other", "rejected")):
                yield row["prompt_id"], row[key], beta * (score[f"model_{side}_logp"] - score[f"reference_{side}_logp"])
