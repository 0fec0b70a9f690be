"""Evaluate a checkpoint on the held-out rows, and compare it with its parent.

Writes scores.jsonl (log-probabilities of each row), samples.jsonl (greedy answers of model and parent side by side)
and the figures into result.json.

`python -m training.engine.evaluate RUN_DIR`
"""

import json
import math
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.contract.config import EvaluationConfig, ModelSource
from training.contract.errors import ModelError
from training.contract.metrics import CHOSEN_LOGP, REJECTED_LOGP, parent_key
from training.contract.wording import counted
from training.engine.data.messages import plain_text
from training.engine.runtime.program import MODELS, log, main
from training.engine.runtime.run import Outcome, Run

if TYPE_CHECKING:
    from training.engine.data.rows import Row
    from training.engine.data.tokenization import Sequences
    from training.engine.inference.scoring import Score


def evaluate(run: Run) -> Outcome:
    """Score the held-out completions and answer the held-out prompts with model and parent."""
    import torch

    from training.engine.data.frozen import check_frozen
    from training.engine.data.held_out import check_rows, desirable_positions, scored_columns
    from training.engine.data.preferences import preference_positions
    from training.engine.data.rows import Counts, read_rows
    from training.engine.data.tokenization import fit, tokenize
    from training.engine.models import loading, same_base
    from training.engine.trainers import tokenizing

    config: EvaluationConfig = run.config
    torch.set_num_threads(config.threads or torch.get_num_threads())
    counts = Counts()
    check_frozen(run.directory.path / config.dataset, config.dataset_sha256)
    rows = read_rows(run.directory.path / config.dataset, "held_out")
    counts.rows = len(rows)
    columns = scored_columns(rows)
    check_rows(rows, columns)
    positions = preference_positions(rows, counts) if len(columns) == 2 else desirable_positions(rows)
    answerable = positions
    labelled = columns == ("completion",) and "label" in rows[0] and config.reference is not None
    if labelled:  # undesirable rows count where there is a reward to measure them by
        positions = list(range(len(rows)))

    tokenizer = loading.load_tokenizer(config.model)
    roles = {"model": config.model, "parent": config.parent, "reference": config.reference}
    sources = {role: source for role, source in roles.items() if source is not None}
    answered = choose_prompts(rows, answerable, config)
    work = Progress(
        run, len(positions) * len(columns) * len(set(sources.values())), len(answered) * (1 + bool(config.parent))
    )

    scores: dict[ModelSource, list[list[Score]]] = {}
    outputs: dict[ModelSource, list[str]] = {}
    sequences: list[Sequences] = []
    for source in dict.fromkeys(sources.values()):
        run.stop_if_cancelled()
        model = loading.load_model(source, dtype=loading.compute_dtype()).to(loading.device())
        loading.check_fits(model, tokenizer)
        if not sequences:  # the model itself comes first: its context decides what is cut
            length = min(config.max_length, loading.context_length(model))
            sequences = tokenize(tokenizer, rows, positions, columns, counts, **tokenizing.options(run))
            sequences = fit(sequences, length, counts)
            counts.used = len(sequences)
        if source in (config.model, config.parent):
            outputs[source] = answer(work, model, tokenizer, [rows[position] for position in answered])
        scores[source] = score(work, model, tokenizer.pad_token_id, sequences)
        del model
    overruled = same_base.recorded(*sources.values())
    by_role = {role: scores[source] for role, source in sources.items()}
    labels = [bool(rows[item.row]["label"]) for item in sequences] if labelled else []
    write_scores(run.directory.scores_path, sequences, by_role, columns, labels)

    answers = {role: outputs[source] for role, source in sources.items() if role != "reference"}
    metrics = scored_figures(by_role, config, pairs=len(columns) == 2, labels=labels)
    metrics |= answered_figures(run, [rows[position] for position in answered], answers)
    return Outcome(metrics=metrics, tokens=work.tokens, details={"rows": counts.as_dict(), **overruled})


def choose_prompts(rows: list["Row"], usable: list[int], config: EvaluationConfig) -> list[int]:
    """Positions of the rows to answer, one for each prompt, in seeded order; fewer without reference texts."""
    first: dict[str, int] = {}
    for position in usable:
        first.setdefault(json.dumps(rows[position]["prompt"], sort_keys=True), position)
    positions = list(first.values())
    random.Random(config.seed).shuffle(positions)
    with_reference = [position for position in positions if reference_text(rows[position]) is not None]
    if not with_reference:
        return positions[: config.sample_outputs]
    others = [position for position in positions if reference_text(rows[position]) is None]
    return (with_reference + others)[: max(config.metrics_limit, config.sample_outputs)]


def reference_text(row: "Row") -> str | None:
    """What a person wrote for this prompt: column `reference`, or the completion of an SFT row."""
    for value in (row.get("reference"), row.get("completion")):
        if value:
            return plain(value)
    return None


def plain(value: Any) -> str:
    """A text, or the last message's content."""
    return value if isinstance(value, str) else plain_text(value[-1])


class Progress:
    """Rows scored and prompts answered so far, for metrics.jsonl; notices a cancel."""

    def __init__(self, run: Run, rows: int, prompts: int) -> None:
        self.run, self.total = run, rows + prompts
        self.done = self.tokens = 0
        self.started = time.monotonic()
        run.record(event="started", done=0, total=self.total)

    def advance(self, number: int, stage: str) -> None:
        self.run.stop_if_cancelled()
        self.done += number
        left = (self.total - self.done) * (time.monotonic() - self.started) / max(1, self.done)
        self.run.record(stage=stage, done=self.done, total=self.total, time_left_s=round(max(0.0, left), 1))


def score(work: Progress, model: Any, pad_id: int, sequences: list["Sequences"]) -> list[list["Score"]]:
    """For each row the scores of its completions."""
    from training.engine.inference.scoring import Scorer

    texts = [(item.prompt_ids, item.completion_ids) for item in sequences]
    scores = Scorer(model, pad_id=pad_id).score(texts, lambda completions: work.advance(completions, "score"))
    work.tokens += sum(len(prompt) + len(ids) for prompt, completions in texts for ids in completions)
    for item, row in zip(sequences, scores, strict=True):
        if not all(math.isfinite(score.logp) for score in row):
            raise ModelError(
                f"held_out.parquet, row {item.number}: its log-probability is not finite: the computation overflowed, "
                "and a figure of it would say nothing"
            )
    log.info("%s scored", counted(sum(map(len, scores)), "completion"))
    return scores


def answer(work: Progress, model: Any, tokenizer: Any, prompts: list["Row"]) -> list[str]:
    """The greedy answer to each row's prompt; empty where the prompt leaves no room for one."""
    from training.engine.data.tokenization import prompt_ids
    from training.engine.inference import decoding
    from training.engine.models import loading

    if not prompts:
        return []
    config: EvaluationConfig = work.run.config
    encoded = prompt_ids(tokenizer, prompts)
    context = loading.context_length(model)
    answers = [""] * len(prompts)
    rooms = [decoding.room(len(ids), context, config.max_new_tokens) for ids in encoded]
    fitting = [position for position, room in enumerate(rooms) if room]
    work.advance(len(prompts) - len(fitting), "answer")

    def keep(positions: list[int], generated: list[decoding.Generated]) -> None:
        for position, text in zip(positions, generated, strict=True):
            answers[fitting[position]] = text.text
            work.tokens += text.tokens
        work.advance(len(positions), "answer")

    decoding.generate(
        model,
        tokenizer,
        [decoding.Request(encoded[position], rooms[position]) for position in fitting],
        keep,
        stop_ids=loading.stop_token_ids(model, tokenizer),
        most_rows=config.batch_size,
        check=work.run.stop_if_cancelled,
    )
    return answers


def scored_figures(
    by_role: dict[str, list[list["Score"]]], config: EvaluationConfig, *, pairs: bool, labels: list[bool]
) -> dict[str, Any]:
    """Everything that follows from log-probabilities. `labels` of KTO rows (or none) are in the order of the rows."""
    from training.engine.inference.metrics import (
        label_figures,
        logp_figures,
        mean_figures,
        perplexity_figures,
        reward_figures,
    )

    every = {role: [row[0] for row in rows] for role, rows in by_role.items()}
    good = every
    if labels:
        good = {
            role: [score for score, label in zip(rows, labels, strict=True) if label] for role, rows in every.items()
        }
    metrics: dict[str, Any] = {"rows": len(good["model"])}
    metrics |= perplexity_figures(good["model"], good.get("parent"))
    if labels:
        metrics |= label_figures(every["model"], every["reference"], labels, config.beta)
    if not pairs:
        return metrics
    both = {role: [(row[0], row[1]) for row in rows] for role, rows in by_role.items()}
    bad = {role: [row[1] for row in rows] for role, rows in by_role.items()}
    metrics["preference_pairs"] = len(both["model"])
    metrics |= logp_figures(both["model"], both.get("parent"))
    metrics |= mean_figures(CHOSEN_LOGP, good["model"]) | mean_figures(REJECTED_LOGP, bad["model"])
    if "parent" in both:
        metrics |= mean_figures(parent_key(CHOSEN_LOGP), good["parent"])
        metrics |= mean_figures(parent_key(REJECTED_LOGP), bad["parent"])
        before = metrics[parent_key(CHOSEN_LOGP)]
        metrics["chosen_logp_change_pct"] = 100 * (metrics[CHOSEN_LOGP] - before) / abs(before) if before else 0.0
    if "reference" in both:
        metrics |= reward_figures(both["model"], both["reference"], config.beta)
    return metrics


def answered_figures(run: Run, rows: list["Row"], answers: dict[str, list[str]]) -> dict[str, Any]:
    """chrF and BLEU where there are references, and samples.jsonl."""
    from training.engine.inference.metrics import text_figures

    config: EvaluationConfig = run.config
    compared = [position for position, row in enumerate(rows) if reference_text(row) is not None]
    metrics: dict[str, Any] = {"outputs": len(rows)}
    if compared:
        texts = {role: [outputs[position] for position in compared] for role, outputs in answers.items()}
        references = [reference_text(rows[position]) or "" for position in compared]
        metrics |= text_figures(texts["model"], texts.get("parent"), references, config.target_language)
    samples = []
    for position, row in enumerate(rows[: config.sample_outputs]):
        sample = {"prompt": row["prompt"], "output": answers["model"][position]}
        if "parent" in answers:
            sample["parent_output"] = answers["parent"][position]
        if (reference := reference_text(row)) is not None:
            sample["reference"] = reference
        if "chosen" in row:
            sample["chosen"] = plain(row["chosen"])
        samples.append(sample)
    _write_lines(run.directory.samples_path, samples)
    return metrics


def write_scores(
    path: Path,
    sequences: list["Sequences"],
    by_role: dict[str, list[list["Score"]]],
    columns: tuple[str, ...],
    labels: list[bool],
) -> None:
    """A line for each row: `<role>_<column>_logp` (summed), `<column>_tokens`, and `label` where there are labels."""
    lines = []
    for number, item in enumerate(sequences):
        line: dict[str, Any] = {"row": item.row, **({"label": labels[number]} if labels else {})}
        for place, column in enumerate(columns):
            line[f"{column}_tokens"] = by_role["model"][number][place].tokens
            for role, rows in by_role.items():
                line[f"{role}_{column}_logp"] = rows[number][place].logp
        lines.append(line)
    _write_lines(path, lines)


def _write_lines(path: Path, lines: list[dict[str, Any]]) -> None:
    from training.contract.run_directory import write_atomically

    write_atomically(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


if __name__ == "__main__":
    raise SystemExit(main("evaluate", evaluate, imports=MODELS))
