"""Plain TRL in several processes: rows with which accelerate fills up an epoch's last step are not learnt again.

Several processes need equally many batches of equal size; the rows of the epoch's beginning fill the last ones up.
(Packed rows are dealt out by `packed.sampling`, which repeats none.)
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from accelerate.utils import gather_object

SHARE = "konomi_share"


class RowsOnce:
    """A mixin: `keep` gets each batch of an epoch's last step in which rows are repeated."""

    def get_batch_samples(self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device) -> Any:
        return super().get_batch_samples(self._without_repeats(epoch_iterator), num_batches, device)  # type: ignore[misc]

    def keep(self, batch: dict[str, Any], own: int, rows: int) -> None:
        """Leave only the batch's first `own` rows, of `rows` that all processes have in this step."""
        raise NotImplementedError

    def _without_repeats(self, batches: Iterator[Any]) -> Iterator[Any]:
        trainer: Any = self
        processes, size = trainer.accelerator.num_processes, trainer.args.per_device_train_batch_size
        rest = len(trainer.train_dataset) % (size * processes)
        for batch in batches:
            if processes > 1 and rest and trainer.accelerator.gradient_state.end_of_dataloader:
                self.keep(batch, min(size, max(0, rest - trainer.accelerator.process_index * size)), rest)
            yield batch


class LabelsOnce(RowsOnce):
    """For SFT, whose loss is a mean over the labels of all processes: repeated rows have no labels."""

    def keep(self, batch: dict[str, Any], own: int, rows: int) -> None:
        batch["labels"][own:] = -100


class ExamplesOnce(RowsOnce):
    """For DPO and KTO, whose losses are means over a process's rows: repeated rows are taken out.

    Gradients are averaged over processes, so the loss of a process that has n of the step's N rows counts n · processes
    / N times. A process without a row computes one that weighs 0 and is in no metric.
    """

    def keep(self, batch: dict[str, Any], own: int, rows: int) -> None:
        """Of DPO's tensors, half the lines are chosen texts, half rejected ones; of KTO's a line is a row."""
        size = self.args.per_device_train_batch_size  # type: ignore[attr-defined]
        kept = max(own, 1)
        for name, values in batch.items():
            parts = [values[start : start + kept] for start in range(0, len(values), size)]
            batch[name] = (
                torch.cat(parts) if isinstance(values, torch.Tensor) else [row for part in parts for row in part]
            )
        batch[SHARE] = own * self.accelerator.num_processes / rows  # type: ignore[attr-defined]

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        share = inputs.pop(SHARE, None)
        self._share = 1.0 if share is None else share
        with self._gathering(share):
            loss = super().compute_loss(model, inputs, *args, **kwargs)  # type: ignore[misc]
        return loss * self._share

    def _compute_kl_logps(self, model: Any, batch: dict[str, Any]) -> Any:
        """KTO's KL term is the mean of the processes' means."""
        values = super()._compute_kl_logps(model, batch)  # type: ignore[misc]
        return values if values is None else values * self._share

    @contextlib.contextmanager
    def _gathering(self, share: float | None) -> Iterator[None]:
        """Within it TRL gathers what belongs to a step's own rows, of which processes may have unequally many.

        accelerate's own gathering for metrics takes the remainder of an epoch's rows for that of whatever is gathered,
        such as one number of each process.
        """
        accelerator: Any = self.accelerator  # type: ignore[attr-defined]
        if accelerator.num_processes == 1:
            yield
            return

        def gather(values: torch.Tensor) -> torch.Tensor:
            if share is None:
                return plain(values)
            own = values.detach() if share else values.detach() * 0 if values.dim() == 0 else values.detach()[:0]
            every: list[torch.Tensor] = gather_object([torch.atleast_1d(own).cpu()])
            return torch.cat(every).to(values.device)

        plain = accelerator.gather
        accelerator.gather = accelerator.gather_for_metrics = gather
        try:
            yield
        finally:
            del accelerator.gather, accelerator.gather_for_metrics
