"""Tokenizing many rows: seconds for a first and for a second run, and whether the ids are TRL's.

`python -m tests.benchmarks.tokenization [ROWS] [MODEL_FOLDER]` prints one JSON line. Rows are pairs of chats, about
60 words a side, common words more often. `plain_s` is one call of the tokenizer for each text, as TRL makes it.
"""

import itertools
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from training.contract.config import Architecture, ModelSource
from training.engine import pretrain
from training.engine.data.prepare import training_sequences
from training.engine.data.token_cache import TokenCache
from training.engine.models import loading

WORDS = 60
SAMPLE = 2000  # rows that are compared, and timed text by text


def pairs(count: int) -> list[dict[str, Any]]:
    draw = random.Random(1)
    words = ["".join(draw.choices("aeioubdfgklmnprst", k=draw.randint(2, 9))) for _ in range(20_000)]

    often = list(itertools.accumulate(1 / rank for rank in range(1, len(words) + 1)))

    def text() -> str:
        return " ".join(draw.choices(words, cum_weights=often, k=draw.randint(WORDS // 2, WORDS * 3 // 2)))

    def turn(role: str) -> list[dict[str, str]]:
        return [{"role": role, "content": text()}]

    return [{"prompt": turn("user"), "chosen": turn("assistant"), "rejected": turn("assistant")} for _ in range(count)]


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 75_000
    rows = pairs(count)
    if len(sys.argv) > 2:
        tokenizer = loading.load_tokenizer(ModelSource(base=sys.argv[2]))
    else:
        documents = [[*row["prompt"], *row["chosen"]] for row in rows[:2000]]
        tokenizer = pretrain.make_tokenizer(documents, Architecture(vocab_size=4000))
    with tempfile.TemporaryDirectory() as folder:
        seconds, processor = [], []
        for _ in range(2):
            started, used = time.perf_counter(), time.process_time()
            sequences, _counts = training_sequences(
                rows,
                tokenizer,
                purpose="dpo",
                max_length=1 << 20,
                stop_ids={tokenizer.eos_token_id},
                where="rows",
                cache=TokenCache(Path(folder)),
            )
            seconds.append(time.perf_counter() - started)
            processor.append(time.process_time() - used)
    started = time.perf_counter()
    equal = True
    for row, found in zip(rows[:SAMPLE], sequences, strict=False):
        prompt = tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True, return_dict=True)["input_ids"]
        for side, ids in zip(("chosen", "rejected"), found.completion_ids, strict=True):
            full = tokenizer.apply_chat_template(row["prompt"] + row[side], return_dict=True)["input_ids"]
            equal &= prompt == found.prompt_ids and full[len(prompt) :] == ids
    plain = (time.perf_counter() - started) * count / min(count, SAMPLE)
    tokens = sum(len(item.prompt_ids) + sum(map(len, item.completion_ids)) for item in sequences)
    result = {
        "rows": count,
        "tokens": tokens,
        "first_s": seconds[0],
        "first_cpu_s": processor[0],
        "cached_s": seconds[1],
        "plain_s": plain,
    }
    print(json.dumps({name: round(value, 2) for name, value in result.items()} | {"equal": equal}))


if __name__ == "__main__":
    main()
