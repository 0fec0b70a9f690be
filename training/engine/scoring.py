"""Log-probabilities of given completions, in length-sorted batches of bounded size."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel
from trl.trainer.utils import add_fused_lm_head

from training.engine.decoding import batches

# Rows are put together up to `batch_size`, but never more than so many tokens with their padding.
TOKEN_BUDGET = 16_384


@dataclass(frozen=True)
class Score:
    """Summed natural-log probability of a completion, end of text included, and its number of tokens."""

    logp: float
    tokens: int

    @property
    def per_token(self) -> float:
        return self.logp / max(1, self.tokens)


class Scorer:
    """Scores completions with one model, which is changed: its head is replaced by TRL's tiled one.

    The tiled head never holds logits of all positions, so a large vocabulary does not set the batch size.
    """

    def __init__(self, model: PreTrainedModel, *, pad_id: int, batch_size: int) -> None:
        self.model, self.pad_id, self.batch_size = model, pad_id, batch_size
        add_fused_lm_head(model)

    def score(
        self, texts: Sequence[tuple[list[int], list[int]]], advance: Callable[[int], None] = lambda rows: None
    ) -> list[Score]:
        """One score for each (prompt, completion), in the order given; `advance` hears of each batch's rows."""
        lengths = [len(prompt) + len(completion) for prompt, completion in texts]
        scores: dict[int, Score] = {}
        longest = max(lengths, default=1)
        for batch in batches(lengths, max(1, min(self.batch_size, TOKEN_BUDGET // max(1, longest)))):
            for position, logp in zip(batch, self._logps([texts[p] for p in batch]), strict=True):
                scores[position] = Score(logp, len(texts[position][1]))
            advance(len(batch))
        return [scores[position] for position in range(len(texts))]

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
        logps: list[float] = output.log_probs.float().sum(dim=1).tolist()
        return logps
