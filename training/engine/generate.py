"""Generate candidates for prompts: prompts.jsonl → candidates.jsonl, resumable at any point.

Each text has a seed of its own, so it depends neither on where a run was interrupted nor on the rest of its
batch. A prompt that is too long gets a line `{"prompt", "error"}`.

`python -m training.engine.generate RUN_DIR`
"""

import dataclasses
import json
import os
import time
from pathlib import Path
from typing import Any

from training.contract.config import GenerationConfig
from training.contract.errors import Cancelled, DatasetError
from training.contract.wording import counted
from training.engine.runtime.program import MODELS, log, main
from training.engine.runtime.run import Outcome, Run


def generate(run: Run) -> Outcome:
    """Append the missing candidates to candidates.jsonl; those that are there already are kept."""
    import torch

    from training.engine.data.tokenization import prompt_ids
    from training.engine.inference import decoding
    from training.engine.models import loading, same_base

    config: GenerationConfig = run.config
    prompts = read_prompts(run.directory.prompts_path)
    path = run.directory.candidates_path
    done = read_candidates(path)
    torch.set_num_threads(config.threads or torch.get_num_threads())
    tokenizer = loading.load_tokenizer(config.model)
    model = loading.load_model(config.model, dtype=loading.compute_dtype()).to(loading.device())
    loading.check_fits(model, tokenizer)
    details = same_base.recorded(config.model)
    stop_ids = loading.stop_token_ids(model, tokenizer)
    context = loading.context_length(model)
    encoded = prompt_ids(tokenizer, [{**prompt, "prompt": prompt["messages"]} for prompt in prompts])

    errors = 0
    fitting = []
    for prompt, ids in zip(prompts, encoded, strict=True):
        if decoding.room(len(ids), context, config.max_new_tokens):
            fitting.append((prompt["id"], ids))
            continue
        errors += 1
        if (prompt["id"], None) not in done:
            size = counted(len(ids), "token")
            error = f"The prompt has {size}: no room for an answer in the model's context of {context}"
            _append(path, [{"prompt": prompt["id"], "error": error}])
    if errors:
        prompts_read = counted(len(prompts), "prompt")
        log.warning("too long for the model's context of %d: %d of %s", context, errors, prompts_read)
    if not fitting:
        everyone = "The only prompt is" if len(prompts) == 1 else f"All {len(prompts)} prompts are"
        raise DatasetError(f"{everyone} too long for the model's context of {context} tokens")

    total = len(fitting) * config.samples
    progress = Progress(run, total, sum(_have(done, id_, config.samples) for id_, _ in fitting))
    wanted = [(id_, index) for id_, _ in fitting for index in range(config.samples) if (id_, index) not in done]
    ids_of = dict(fitting)
    requests = [
        decoding.Request(
            ids_of[id_],
            decoding.room(len(ids_of[id_]), context, config.max_new_tokens),
            decoding.seed_of(config.seed, id_, index),
        )
        for id_, index in wanted
    ]
    unfinished = 0

    def keep(positions: list[int], answers: list[decoding.Generated]) -> None:
        nonlocal unfinished
        lines = [
            {"prompt": wanted[position][0], "index": wanted[position][1], **dataclasses.asdict(answer)}
            for position, answer in zip(positions, answers, strict=True)
        ]
        _append(path, lines)
        unfinished += sum(not answer.finished for answer in answers)
        progress.step(len(lines), sum(answer.tokens for answer in answers))
        run.stop_if_cancelled()

    try:
        run.stop_if_cancelled()
        decoding.generate(
            model,
            tokenizer,
            requests,
            keep,
            stop_ids=stop_ids,
            temperature=config.temperature,
            top_p=config.top_p,
            most_rows=config.batch_size,
            check=run.stop_if_cancelled,
        )
    except Cancelled:
        figures = progress.figures(errors, unfinished)
        return Outcome(metrics=figures, tokens=progress.tokens, cancelled=True, details=details)
    return Outcome(metrics=progress.figures(errors, unfinished), tokens=progress.tokens, details=details)


class Progress:
    """Counts candidates, and writes a line of metrics after each batch."""

    def __init__(self, run: Run, total: int, done: int) -> None:
        self.run, self.total, self.done, self.before = run, total, done, done
        self.tokens = 0
        self.started = time.monotonic()
        run.record(event="resumed" if done else "started", done=done, total=total)

    def step(self, candidates: int, tokens: int) -> None:
        self.done += candidates
        self.tokens += tokens
        elapsed = max(1e-9, time.monotonic() - self.started)
        left = (self.total - self.done) * elapsed / max(1, self.done - self.before)
        self.run.record(
            done=self.done, total=self.total, tokens_per_s=round(self.tokens / elapsed, 1), time_left_s=round(left, 1)
        )
        log.info("%d of %d candidates, %.0f s left", self.done, self.total, left)

    def figures(self, errors: int, unfinished: int) -> dict[str, Any]:
        elapsed = max(1e-9, time.monotonic() - self.started)
        return {
            "candidates": self.done,
            "total": self.total,
            "prompts_too_long": errors,
            "unfinished": unfinished,
            "tokens_per_s": round(self.tokens / elapsed, 1),
        }


def read_prompts(path: Path) -> list[dict[str, Any]]:
    """The lines of prompts.jsonl. Raises DatasetError with the line at fault."""
    if not path.is_file():
        raise DatasetError(f"{path} does not exist")
    prompts = []
    seen = set()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            prompt = json.loads(line)
            messages = prompt["messages"]
            good = bool(messages) and all(
                isinstance(m["role"], str) and isinstance(m["content"], str) for m in messages
            )
            identity = int(prompt["id"])
        except (ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"{path.name} line {number}: {type(error).__name__}: {error}") from error
        if not good:
            raise DatasetError(f"{path.name} line {number}: messages must be a list of objects with role and content")
        if identity in seen:
            raise DatasetError(f"{path.name} line {number}: id {identity} occurs twice")
        seen.add(identity)
        prompts.append({"id": identity, "messages": messages})
    if not prompts:
        raise DatasetError(f"{path} has no prompts")
    return prompts


def read_candidates(path: Path) -> set[tuple[int, int | None]]:
    """(prompt, index) of the existing lines, index None for an error line. A last line that was cut off is removed."""
    if not path.exists():
        return set()
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        log.warning("the last line of %s was cut off: removed", path.name)
        os.truncate(path, whole)
    done: set[tuple[int, int | None]] = set()
    for number, line in enumerate(content[:whole].splitlines(), 1):
        try:
            row = json.loads(line)
            done.add((row["prompt"], None if "error" in row else row["index"]))
        except (ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"{path.name} line {number} is damaged ({error}): remove that line to resume") from error
    return done


def _have(done: set[tuple[int, int | None]], identity: int, samples: int) -> int:
    return sum((identity, index) in done for index in range(samples))


def _append(path: Path, lines: list[dict[str, Any]]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
        file.flush()
        os.fsync(file.fileno())


if __name__ == "__main__":
    raise SystemExit(main("generate", generate, imports=MODELS))
