"""Crashes and broken files: a resumed run ends as an uninterrupted one, and incomplete weights are refused."""

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from training.engine.verification.bench import Bench, tensors
from training.engine.verification.check import Check, Finding, decisive, within
from training.engine.verification.jobs import Lora, Refused, Settings
from training.engine.verification.pairs import make_pairs

GROUP = "recovery"
ROWS = make_pairs(20, seed=15)  # 5 steps an epoch: step 8 lies in the second
HALF, WHOLE = 4, 8
PAIRS = make_pairs(8)
ONE_STEP = Settings(steps=1, batch_size=8, learning_rate=3e-3, lora=Lora())
Tensors = dict[str, torch.Tensor]


def resumed(bench: Bench, lora: Lora | None) -> Finding:
    settings = Settings(steps=WHOLE, batch_size=4, learning_rate=1e-3, schedule="linear", save_every=HALF, lora=lora)
    straight = bench.train(ROWS, settings)
    resumed = bench.resume(ROWS, settings, after=HALF)
    one, other = tensors(straight.trained), tensors(resumed.trained)
    if not one or one.keys() != other.keys():
        return Finding(False, f"{len(one)} tensors without, {len(other)} with an interruption")
    worst = max(float((one[name] - other[name]).abs().max()) for name in one)
    losses = [outcome.reported("loss")[-1] for outcome in (straight, resumed)]
    return within(
        max(worst, abs(losses[0] - losses[1])),
        0.0,
        f"weights differ by {worst:.2g} at most, the last losses by {abs(losses[0] - losses[1]):.2g}",
    )


def resume_full(bench: Bench) -> Finding:
    return resumed(bench, None)


def resume_lora(bench: Bench) -> Finding:
    return resumed(bench, Lora())


def rewrite(file: Path, change: Callable[[Tensors], Tensors]) -> None:
    """The safetensors file with other tensors, and its metadata as they were."""
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
    save_file(change(tensors(file.parent)), file, metadata=metadata)


def refuses(bench: Bench, *, model: Path, adapter: Path | None = None) -> Finding:
    try:
        outcome = bench.train(PAIRS, ONE_STEP, model=model, adapter=adapter)
    except Refused as refusal:
        return Finding(True, f"refused: {refusal}")
    return Finding(False, f"trained without an error, first loss {outcome.reported('loss')[0]:.4f}")


def without_a_layer(held: Tensors) -> Tensors:
    return {name: tensor for name, tensor in held.items() if ".layers.1." not in name}


def renamed(held: Tensors) -> Tensors:
    return {f"language_model.{name}": tensor for name, tensor in held.items()}


def missing_tensors(bench: Bench) -> Finding:
    model = bench.copied(bench.model("llama"), "missing")
    rewrite(model / "model.safetensors", without_a_layer)
    return refuses(bench, model=model)


def renamed_tensors(bench: Bench) -> Finding:
    model = bench.copied(bench.model("llama"), "renamed")
    rewrite(model / "model.safetensors", renamed)
    return refuses(bench, model=model)


def missing_adapter_tensors(bench: Bench) -> Finding:
    adapter = bench.copied(bench.sft_adapter(), "adapter-missing")
    rewrite(adapter / "adapter_model.safetensors", without_a_layer)
    return refuses(bench, model=bench.model("llama"), adapter=adapter)


def renamed_adapter_tensors(bench: Bench) -> Finding:
    adapter = bench.copied(bench.sft_adapter(), "adapter-renamed")
    rewrite(adapter / "adapter_model.safetensors", renamed)
    start = bench.logps(bench.model("llama"), (), PAIRS)
    decisive(float((bench.logps(bench.model("llama"), (bench.sft_adapter(),), PAIRS) - start).abs().mean()), 1e-3, "it")
    return refuses(bench, model=bench.model("llama"), adapter=adapter)


CHECKS = (
    Check("resume", GROUP, "a run killed and resumed in mid-epoch ends bit-equal (all weights)", resume_full),
    Check("resume-lora", GROUP, "the same with LoRA", resume_lora),
    Check("missing-tensors", GROUP, "a base without one layer's tensors is refused", missing_tensors),
    Check("renamed-tensors", GROUP, "a base whose tensors have other names is refused", renamed_tensors),
    Check(
        "missing-adapter-tensors",
        GROUP,
        "an SFT adapter without one layer's tensors is refused",
        missing_adapter_tensors,
    ),
    Check(
        "renamed-adapter-tensors",
        GROUP,
        "an SFT adapter whose tensors have other names is refused",
        renamed_adapter_tensors,
    ),
)
