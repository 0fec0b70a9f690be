"""Log-probabilities of completions, in batches sorted by length and bounded by tokens.

A prompt is computed once for all of its completions, the head on completion tokens only.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel
from trl.trainer.utils import add_fused_lm_head

from training.engine.inference import alone, batching
from training.engine.packed import forward, layout, rope

log = logging.getLogger("konomi.engine")

# Tokens of a batch with their padding, whatever the memory: larger batches are no faster.
MOST_TOKENS = 16_384
# Rows on which the packed forward is compared with the plain one.
CHECKED_ROWS = 2

Text = tuple[list[int], list[list[int]]]  # a prompt and its completions, as token ids


@dataclass(frozen=True)
class Score:
    """Summed natural-log probability of a completion, end of text included, and its number of tokens."""

    logp: float
    tokens: int

    @property
    def per_token(self) -> float:
        return self.logp / max(1, self.tokens)


class Scorer:
    """Scores completions with one model, which is changed: its head is replaced by one that works in tiles.

    Logits of all positions are never in memory, so a large vocabulary does not set the size of a batch. `most_tokens`
    bounds a batch; the scores do not depend on it.
    """

    def __init__(self, model: PreTrainedModel, *, pad_id: int, most_tokens: int = MOST_TOKENS) -> None:
        self.model, self.pad_id = model, pad_id
        self.costs = batching.Costs.of(model)
        self.threshold = rope.threshold(model)
        self.most_tokens = most_tokens
        forward.add_packed_forward(model)
        add_fused_lm_head(model)

    def score(
        self, texts: Sequence[Text], advance: Callable[[int], None] = lambda completions: None
    ) -> list[list[Score]]:
        """The scores of each prompt's completions, in order; `advance` gets the number of completions after each batch.

        All prompts have as many completions as the first one.
        """
        if not texts:
            return []
        reason = self._plain_reason(texts)
        if reason:
            log.info("scored without packing: %s", reason)
        sums = self._plain(texts, advance) if reason else self._packed(texts, advance)
        return [
            [Score(logp, len(ids)) for logp, ids in zip(logps, completions, strict=True)]
            for logps, (_, completions) in zip(sums, texts, strict=True)
        ]

    def _plain_reason(self, texts: Sequence[Text]) -> str | None:
        """Why these texts cannot be packed; None if they can."""
        if not all(prompt for prompt, _ in texts):
            return "a prompt has no token"
        reason: str | None = forward.unsupported_reason(self.model)
        if reason:
            return reason
        by_length = sorted(range(len(texts)), key=lambda n: len(texts[n][0]) + sum(map(len, texts[n][1])))
        checked = [by_length[:CHECKED_ROWS], by_length[CHECKED_ROWS:][-1:]]
        batches = [self._lay_out([layout.make_row(n, *texts[n]) for n in numbers]) for numbers in checked if numbers]
        reason = forward.mismatch(self.model, batches, self.model.dtype)
        return reason

    def _lay_out(self, rows: Sequence[layout.Row]) -> layout.MicroBatch:
        return rope.with_passes(layout.lay_out(rows, pad_id=self.pad_id), self.threshold)

    def _in_batches(self, lengths: Sequence[int], sides: Sequence[int], compute: Callable[[list[int]], None]) -> None:
        """`compute` with positions of `lengths`, batch by batch; texts that are encoded in another way stay apart."""
        token = self.costs.working_token
        mask = self.model.dtype.itemsize + 1  # of two places: a number, and the truth value that it is made from
        for group in rope.by_side(range(len(lengths)), sides):
            batching.in_batches(
                [lengths[position] for position in group],
                lambda numbers, group=group: compute([group[number] for number in numbers]),  # type: ignore[misc]
                cost=lambda rows, longest: rows * longest * (token + mask * longest),
                budget=min(batching.free_bytes(self.model.device), self.most_tokens * token),
            )

    def _packed(self, texts: Sequence[Text], advance: Callable[[int], None]) -> list[list[float]]:
        rows = [layout.make_row(position, *text) for position, text in enumerate(texts)]
        sums_by_position: dict[int, list[float]] = {}

        def compute(positions: list[int]) -> None:
            with torch.inference_mode():
                batch = self._lay_out([rows[position] for position in positions]).to(self.model.device)
                sums = batch.by_row(batch.sums(forward.score(self.model, batch, self.model.dtype).logps))
            sums_by_position.update(zip(positions, sums, strict=True))
            advance(sum(len(texts[position][1]) for position in positions))

        sides = [rope.side(rope.text_lengths(row), self.threshold) for row in rows]
        self._in_batches([row.computed for row in rows], sides, compute)
        return [sums_by_position[position] for position in range(len(texts))]

    def _plain(self, texts: Sequence[Text], advance: Callable[[int], None]) -> list[list[float]]:
        """Every completion with its prompt before it: by TRL's head where that is the model's own, else each alone."""
        pairs = [(prompt, completion) for prompt, completions in texts for completion in completions]
        logps_by_position: dict[int, float] = {}
        reason = self._alone_reason(pairs)
        if reason:
            log.info("scored one by one: %s", reason)

        def compute(positions: list[int]) -> None:
            chosen = [pairs[position] for position in positions]
            logps = [self._logp_alone(*pair) for pair in chosen] if reason else self._logps(chosen)
            logps_by_position.update(zip(positions, logps, strict=True))
            advance(len(positions))

        lengths = [len(prompt) + len(completion) for prompt, completion in pairs]
        self._in_batches(lengths, [rope.side([length], self.threshold) for length in lengths], compute)
        each = len(texts[0][1])
        return [[logps_by_position[start + n] for n in range(each)] for start in range(0, len(pairs), each)]

    def _alone_reason(self, pairs: Sequence[tuple[list[int], list[int]]]) -> str | None:
        """Why TRL's head on padded batches does not give what the model's own logits of each text do."""
        by_length = sorted(pairs, key=lambda pair: len(pair[0]) + len(pair[1]))
        sides = [rope.side([len(prompt) + len(completion)], self.threshold) for prompt, completion in by_length]
        longest = by_length[-1]
        shortest = next(pair for pair, side in zip(by_length, sides, strict=True) if side == sides[-1])
        texts = [[*prompt, *completion] for prompt, completion in (shortest, longest)]
        kind = self.model.config.model_type
        right = [alone.logps_alone(self.model, ids) for ids in texts]
        try:
            found = alone.logps_together(self.model, texts, self.pad_id)
        except (AttributeError, IndexError, TypeError, KeyError) as error:
            return f"{kind} has another head than TRL computes ({type(error).__name__}: {str(error)[:200]})"
        difference = alone.largest_difference(found, right)
        if difference <= forward.TOLERANCE[self.model.dtype]:
            return None
        return f"{kind} gives other log-probabilities in a padded batch, or by TRL's head (by {difference:.2g})"

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def _logp_alone(self, prompt: list[int], completion: list[int]) -> float:
        logps = alone.logps_alone(self.model, [*prompt, *completion])[max(0, len(prompt) - 1) :]
        return float(logps.double().sum())

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def _logps(self, texts: list[tuple[list[int], list[int]]]) -> list[float]:
        width = max(len(prompt) + len(completion) for prompt, completion in texts)
        input_ids_BT = torch.full((len(texts), width), self.pad_id)
        attention_mask_BT = torch.zeros_like(input_ids_BT)
        labels_BT = torch.full_like(input_ids_BT, -100)
        for row, (prompt, completion) in enumerate(texts):
            ids = torch.tensor(prompt + completion)
            input_ids_BT[row, : len(ids)] = ids
            attention_mask_BT[row, : len(ids)] = 1
            labels_BT[row, len(prompt) : len(ids)] = ids[len(prompt) :]
        device = self.model.device
        output = self.model(
            input_ids=input_ids_BT.to(device),
            attention_mask=attention_mask_BT.to(device),
            labels=labels_BT.to(device),
            fused_lm_head=True,
        )
        logps: list[float] = (
            output.log_probs.double().masked_fill((labels_BT[:, 1:] == -100).to(device), 0).sum(dim=1).tolist()
        )
        return logps
