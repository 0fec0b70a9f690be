"""One family, from a configuration to a merged model: what the trainer does with it, and how far figures are off."""

import dataclasses
from pathlib import Path
from typing import Any

from tests.sweep_architectures import configurations
from training.contract.config import ModelSource
from training.engine.verification import models, oracle
from training.engine.verification.adapters.konomi import Konomi, in_this_process
from training.engine.verification.apart import first_line
from training.engine.verification.jobs import Job, Lora, Outcome, Refused, Settings
from training.engine.verification.pairs import make_pairs

PAIRS = (*make_pairs(5, seed=31), *make_pairs(1, seed=32, prompt=(140, 150)))
SETTINGS = Settings(steps=2, batch_size=len(PAIRS), learning_rate=1e-3, lora=Lora())


@dataclasses.dataclass
class Row:
    """A family's line of the table. Figures are None where they do not apply, reasons empty.

    `rows`: the largest difference of a sequence's log-probability, packed with others and alone. `reported`: how far
    the means that the trainer reported are from those of sequences alone, as a fraction; `scored` is the same of each
    sequence by the evaluation.
    """

    family: str
    model: str = ""
    parameters: int = 0
    not_built: str = ""
    plain: str = ""
    packed: bool = False
    rows: float | None = None
    reported: float | None = None
    scored: float | None = None
    lora: str = ""
    unmoved: tuple[str, ...] = ()
    lora_refused: str = ""
    merge: float | None = None
    merge_refused: str = ""
    first_loss: float | None = None
    auxiliary: bool = False
    refused: str = ""
    seconds: float = 0.0

    @property
    def how(self) -> str:
        return "packed" if self.packed else "plain TRL" if self.plain else "–"


def examine(family: str, folder: Path) -> Row:
    """The row of this family; its files are written to `folder`. Raises for crashes."""
    import torch

    torch.set_num_threads(1)
    row = Row(family)
    source = folder / "model"
    try:
        build(family, source, row)
    except Exception as error:  # a configuration's own checks, or a constructor's
        row.not_built = f"{type(error).__name__}: {first_line(error, 200)}"
        return row
    job = Job(folder / "lora", source, PAIRS, SETTINGS)
    outcome = train(job, row, refusal="lora_refused")
    if outcome is None:
        settings = dataclasses.replace(SETTINGS, lora=None)
        outcome = train(Job(folder / "full", source, PAIRS, settings), row, refusal="refused")
    else:
        adapted(source, outcome, row)
        merge(outcome, folder / "merged", row)
    alone = alone_logps(source)
    row.scored = float((scored(source) / alone - 1).abs().max())
    if outcome is not None:
        compare(source, outcome, alone, row)
    return row


def build(family: str, folder: Path, row: Row) -> None:
    """Write a tiny model with random weights, and the tokenizer of one token for each byte."""
    import torch
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM

    tokenizer = models.make_tokenizer()
    config = configurations.tiny(CONFIG_MAPPING[family], family)
    torch.manual_seed(5)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    row.model = type(model).__name__
    row.parameters = model.num_parameters()
    text = model.config.get_text_config()
    row.auxiliary = bool(getattr(text, "router_aux_loss_coef", 0)) and hasattr(text, "output_router_logits")
    for module in model.modules():
        # The row of the padding token, which is zero at random: gradients of its norm would be NaN in some families.
        if isinstance(module, torch.nn.Embedding) and module.padding_idx is not None:
            torch.nn.init.normal_(module.weight.data[module.padding_idx], std=0.1)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def train(job: Job, row: Row, *, refusal: str) -> Outcome | None:
    job.folder.mkdir(parents=True)
    try:
        outcome = Konomi(in_this_process).train(job)
    except Refused as error:
        setattr(row, refusal, first_line(error, 300))
        return None
    row.first_loss = outcome.reported("loss")[0]
    row.plain = "; ".join(outcome.notices).removeprefix("plain TRL: ")
    row.packed = not outcome.notices
    return outcome


def adapted(source: Path, outcome: Outcome, row: Row) -> None:
    """How many adapters have moved, and those among the others that a plain backward pass gives a gradient."""
    from training.engine.verification.bench import tensors

    moved = {name for name, t in tensors(outcome.trained).items() if "lora_B" in name and t.abs().max() > 0}
    learnable, others = reached(source, outcome.trained)
    row.lora = f"{len(moved)} of {len(learnable) + len(others)}"
    row.unmoved = tuple(sorted(learnable - moved))


def reached(source: Path, adapter: Path) -> tuple[set[str], set[str]]:
    """Names of the new adapter's matrices B that a backward pass over all rows gives a gradient, and of the rest."""
    import torch
    from peft import LoraConfig, get_peft_model

    settings = LoraConfig.from_pretrained(adapter)
    settings.inference_mode = False
    torch.manual_seed(7)
    model = get_peft_model(models.load(source), settings)
    logps = torch.cat([oracle.logps(model, models.load_tokenizer(source), (pair,)) for pair in PAIRS])
    (logps @ torch.tensor([1.0, -1.0], dtype=torch.float64)).sum().backward()
    grads = {name.replace(".default", ""): p.grad for name, p in model.named_parameters() if "lora_B" in name}
    learnable = {name for name, grad in grads.items() if grad is not None and grad.abs().max() > 0}
    return learnable, grads.keys() - learnable


def merge(outcome: Outcome, to: Path, row: Row) -> None:
    from training.contract.errors import EngineError
    from training.engine.merge import merge as merge_chain

    source = ModelSource(base=str(outcome.base), adapters=tuple(map(str, outcome.adapters)))
    try:
        row.merge = float(merge_chain(source, to, dtype="fp32")["largest_difference"])
    except EngineError as error:
        row.merge_refused = first_line(error, 300)


def alone_logps(source: Path) -> Any:
    """Log-probabilities (pairs, 2) of the start, each sequence alone, by the model's own logits."""
    import torch

    with torch.no_grad():
        model, tokenizer = models.load(source), models.load_tokenizer(source)
        return torch.cat([oracle.logps(model, tokenizer, (pair,)) for pair in PAIRS])


def scored(source: Path) -> Any:
    """The same as an evaluation computes them."""
    import torch

    from training.engine.inference.scoring import Scorer

    tokenizer = models.load_tokenizer(source)
    texts = [oracle.sequences(tokenizer, pair) for pair in PAIRS]
    scores = Scorer(models.load(source), pad_id=tokenizer.pad_token_id).score(texts)
    return torch.tensor([[score.logp for score in row] for row in scores], dtype=torch.float64)


def compare(source: Path, outcome: Outcome, alone: Any, row: Row) -> None:
    """The start's log-probabilities, each sequence alone, against those in packed rows and against those reported."""
    import torch

    if row.packed:
        with torch.no_grad():
            row.rows = float((packed(models.load(source), models.load_tokenizer(source)) - alone).abs().max())
    reported = [outcome.reported(name)[0] for name in ("logps_chosen", "logps_rejected")]
    means = alone.mean(dim=0).tolist()
    row.reported = max(abs(value / right - 1) for value, right in zip(reported, means, strict=True))


def packed(model: Any, tokenizer: Any) -> Any:
    """Log-probabilities (pairs, 2) where all pairs are rows of one micro-batch."""
    import torch

    from training.engine.packed import forward
    from training.engine.packed.layout import lay_out, make_row

    forward.add_packed_forward(model)
    rows = [make_row(number, *oracle.sequences(tokenizer, pair)) for number, pair in enumerate(PAIRS)]
    batch = lay_out(rows, pad_id=tokenizer.pad_token_id)
    return batch.sums(forward.score(model, batch, torch.float32).logps).view(len(PAIRS), 2)
