"""Trainer over packed rows: each step computes its micro-batches in turn and accumulates their gradients.

The gradient is that of the effective batch as a whole: how it is cut (or split over `gradient_accumulation`) affects
memory and speed only. This is a plain `transformers.Trainer`. What TRL's trainers add to it and packed rows need
as well is done here: LoRA with its checkpointing and quantization details, dropout, metrics, token counts. TRL's own
trainers compute what cannot be packed (see `plain_trl`), and are the reference in the equality tests.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from accelerate.data_loader import DataLoaderShard
from peft import LoraConfig, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainingArguments, set_seed

from training.contract.errors import EngineError, ModelError
from training.engine.models.checks import ON_THE_HEAD
from training.engine.packed.sampling import Examples, StepSampler
from training.engine.packed.step import Part, Step, StepCollator
from training.engine.trainers import dropout
from training.engine.trainers.steps import KonomiSteps


class PackedTrainer(KonomiSteps):
    """A subclass computes `part_loss`: one micro-batch's contribution to the step's loss, and sums for the log.

    `lora` puts an adapter on the model. Without `model_dropout` only the adapter's own dropout is left.
    """

    def __init__(
        self,
        *,
        model: PreTrainedModel,
        args: TrainingArguments,
        train_dataset: Examples,
        processing_class: PreTrainedTokenizerBase,
        data_collator: StepCollator,
        lora: LoraConfig | None = None,
        model_dropout: bool = True,
    ) -> None:
        if args.n_gpu > 1:
            raise EngineError(
                "Several GPUs are visible to one process, which Trainer would use through torch's DataParallel: set "
                "processes in run.json, start with accelerate launch, or make one GPU visible (CUDA_VISIBLE_DEVICES)"
            )
        self.layout = data_collator.layout
        self.step_metrics: dict[str, list[float]] = {}
        self.trained_tokens = 0
        set_seed(args.seed)  # for the adapter's random start
        model.config.get_text_config().pad_token_id = processing_class.pad_token_id
        model.generation_config.pad_token_id = processing_class.pad_token_id
        if not model_dropout:
            dropout.switch_off(model)
        if lora is not None:
            model = add_adapter(model, lora, checkpointing=bool(args.gradient_checkpointing))
        super().__init__(
            model=model,
            args=args,
            data_collator=data_collator,
            train_dataset=train_dataset,
            processing_class=processing_class,
        )
        self.data_collator = replace(data_collator, stand_in=self.train_dataset[0])
        self._steps: StepSampler | None = None

    def groups(self) -> list[list[int]]:
        """Positions of the training rows that belong into one step."""
        return [[position] for position in range(len(self.train_dataset))]

    @property
    def steps(self) -> StepSampler:
        """This process's rows of each step."""
        if self._steps is None:
            self._steps = StepSampler(
                self.groups(),
                most=self.args.per_device_train_batch_size * self.accelerator.num_processes,
                seed=self.args.seed if self.args.data_seed is None else self.args.data_seed,
                processes=self.accelerator.num_processes,
                rank=self.accelerator.process_index,
            )
        return self._steps

    def get_train_dataloader(self) -> DataLoaderShard:
        """Not by way of accelerate's `prepare`, which fills up an epoch's last step with rows of its beginning."""
        return DataLoaderShard(self.train_dataset, batch_sampler=self.steps, collate_fn=self.data_collator)

    def part_loss(self, model: Any, part: Part, totals: dict[str, float]) -> tuple[Tensor, dict[str, float]]:
        raise NotImplementedError

    def log_sums(self, sums: dict[str, float]) -> dict[str, float]:
        """The step's metrics for the log, from the sums over all parts and processes."""
        raise NotImplementedError

    def training_step(self, model: Any, inputs: dict[str, Step], num_items_in_batch: Any = None) -> Tensor:
        model.train()
        step = inputs["step"]
        device = self.accelerator.device
        totals = self._over_processes(step.totals)
        parts = self._as_many_as_others(step.parts)
        loss = torch.zeros((), device=device)
        sums: dict[str, float] = {}
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            with contextlib.nullcontext() if last else self.accelerator.no_sync(model):
                with self.compute_loss_context_manager():
                    part_loss, part_sums = self.part_loss(model, part.to(device), totals)
                # Gradients are averaged over processes, while `totals` count the rows of all processes.
                part_loss = part_loss * (0 if part.idle else self.accelerator.num_processes)
                self.accelerator.backward(part_loss)
            loss += part_loss.detach()
            for name, value in part_sums.items():
                sums[name] = sums.get(name, 0.0) + (0.0 if part.idle else value)
        sums["places"] = sum(part.batch.places for part in parts)
        sums["computed"] = sum(part.batch.computed for part in parts)
        self._add_metrics(self._over_processes(sums))
        return loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the means of the steps' metrics since the last log, and the tokens trained on in this execution."""
        if self.step_metrics:
            logs |= {name: sum(values) / len(values) for name, values in self.step_metrics.items()}
            logs["num_tokens"] = self.trained_tokens
            self.step_metrics.clear()
        super().log(logs, start_time)

    def dry_run(self, positions: Sequence[int]) -> None:
        """One forward and backward of these training rows, as a step computes them; all state is restored."""
        examples = [self.train_dataset[position] for position in positions]
        if self.args.activation_checkpointing:  # as `train` does later
            self.model.activation_checkpointing_enable()
        # `train` adds autocast to the model's forward later, too.
        with self._restored(), self.accelerator.autocast():
            self.training_step(self.model, self.data_collator(examples))

    @contextlib.contextmanager
    def _restored(self) -> Iterator[None]:
        training, tokens = self.model.training, self.trained_tokens
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            yield
        self.model.zero_grad(set_to_none=True)
        self.model.train(training)
        self.step_metrics.clear()
        self.trained_tokens = tokens

    def _add_metrics(self, sums: dict[str, float]) -> None:
        values = {**self.log_sums(sums), "padding_share": 1 - sums["computed"] / sums["places"]}
        for name, value in values.items():
            self.step_metrics.setdefault(name, []).append(value)
        self.trained_tokens += int(sums["tokens"])

    def _over_processes(self, sums: dict[str, float]) -> dict[str, float]:
        if self.accelerator.num_processes == 1:
            return sums
        values = torch.tensor(list(sums.values()), dtype=torch.float64, device=self.accelerator.device)
        return dict(zip(sums, self.accelerator.reduce(values, "sum").tolist(), strict=True))

    def _as_many_as_others(self, parts: list[Part]) -> list[Part]:
        """Under FSDP each forward gathers weights from all processes, so all must compute equally many."""
        if not self.is_fsdp_enabled or self.accelerator.num_processes == 1:
            return parts
        count = torch.tensor([len(parts)], device=self.accelerator.device)
        wanted = int(self.accelerator.gather(count).max())
        parts = list(parts)
        while len(parts) < wanted:
            longest = max(range(len(parts)), key=lambda n: len(parts[n].batch.rows))
            parts[longest : longest + 1] = self.data_collator.halved(parts[longest])
        return parts


def add_adapter(model: PreTrainedModel, lora: LoraConfig, *, checkpointing: bool) -> Any:
    """The model with a new LoRA adapter. Raises ModelError for an adapter on the head, which would never be trained."""
    adapted = get_peft_model(model, lora)
    if isinstance(adapted.get_output_embeddings(), BaseTunerLayer):
        raise ModelError(ON_THE_HEAD)
    if checkpointing:
        adapted.enable_input_require_grads()  # the embeddings are frozen, and checkpointed layers need an input to
    if getattr(model, "is_loaded_in_4bit", False) or getattr(model, "is_loaded_in_8bit", False):
        # As in the QLoRA paper (Dettmers et al. 2023, section 3) and TRL. DoRA's magnitudes stay in float32: their
        # updates can be smaller than what bfloat16 represents.
        for name, parameter in adapted.named_parameters():
            if parameter.requires_grad and "lora_magnitude_vector" not in name:
                parameter.data = parameter.data.to(torch.bfloat16)
    return adapted
