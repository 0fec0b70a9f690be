"""LoRA: every adapter learns, heads and tied embeddings learn or are refused, and merging keeps what was trained."""

from collections.abc import Iterable

from training.engine.verification.bench import Bench, TwoSteps, tensors
from training.engine.verification.check import Check, Finding, off, within
from training.engine.verification.jobs import Lora, NotOffered, Settings
from training.engine.verification.pairs import make_pairs

GROUP = "adapters"
PAIRS = make_pairs(8, seed=4)
RATE = 1e-2
LINEAR = (
    *(f"self_attn.{name}" for name in ("q_proj", "k_proj", "v_proj", "o_proj")),
    *(f"mlp.{name}" for name in ("gate_proj", "up_proj", "down_proj")),
)
RELATIVE = 1e-5


def moved(bench: Bench, family: str, targets: tuple[str, ...]) -> dict[str, bool]:
    """Those matrices of the trained adapter that begin at 0: whether each has moved."""
    settings = Settings(steps=2, batch_size=8, learning_rate=RATE, lora=Lora(targets))
    outcome = bench.train(PAIRS, settings, model=bench.model(family))
    return {
        name: bool(tensor.abs().max() > 0)
        for name, tensor in tensors(outcome.trained).items()
        if "lora_B" in name or "lora_embedding_A" in name
    }


def adapted_and_moved(moved_by_name: dict[str, bool], modules: Iterable[str]) -> Finding:
    missing = [module for module in modules if not any(f"{module}." in name for name in moved_by_name)]
    frozen = [name for name, has_moved in moved_by_name.items() if not has_moved]
    if missing or frozen:
        first = missing[0] if missing else frozen[0]
        return Finding(
            False, f"{len(missing)} modules without an adapter, {len(frozen)} adapters never trained: {first}"
        )
    return Finding(True, f"all {len(moved_by_name)} adapters have moved")


def every_adapter(bench: Bench) -> Finding:
    modules = [f"layers.{layer}.{name}" for layer in (0, 1) for name in LINEAR]
    return adapted_and_moved(moved(bench, "llama", ("all-linear",)), modules)


def head(bench: Bench) -> Finding:
    return adapted_and_moved(moved(bench, "llama", ("q_proj", "lm_head")), ["lm_head", "self_attn.q_proj"])


def embeddings(bench: Bench) -> Finding:
    return adapted_and_moved(moved(bench, "llama", ("q_proj", "embed_tokens")), ["embed_tokens", "self_attn.q_proj"])


def merged(bench: Bench, steps: TwoSteps, name: str) -> Finding:
    """The model after one step, merged, against what the second step reports of it."""
    merge = getattr(bench.trainer, "merge", None)
    if merge is None:
        raise NotOffered("merging adapters")
    folder = bench.folder / "merged" / name
    folder.parent.mkdir(exist_ok=True)
    merge(steps.one, folder)
    values = bench.logps(folder, (), PAIRS).mean(dim=0).tolist()
    reported = [steps.two.reported(side)[1] for side in ("logps_chosen", "logps_rejected")]
    return within(
        off(values, reported),
        RELATIVE,
        f"log-probabilities when trained {reported[0]:.4f} and {reported[1]:.4f}, "
        f"when merged {values[0]:.4f} and {values[1]:.4f}",
    )


def merge(bench: Bench) -> Finding:
    return merged(bench, bench.two_steps(PAIRS, lora=Lora(), learning_rate=RATE), "lora")


def merge_after_sft(bench: Bench) -> Finding:
    adapter = bench.sft_adapter()
    return merged(bench, bench.two_steps(PAIRS, lora=Lora(), adapter=adapter, learning_rate=RATE), "chain")


def merge_tied(bench: Bench) -> Finding:
    lora = Lora(("q_proj", "embed_tokens"))
    return merged(bench, bench.two_steps(PAIRS, lora=lora, family="llama-tied", learning_rate=RATE), "tied")


CHECKS = (
    Check("lora-learns", GROUP, "each adapter of all-linear is there and has moved", every_adapter),
    Check("lora-head", GROUP, "an adapter on lm_head learns, or is refused", head, may_refuse=True),
    Check("lora-embeddings", GROUP, "an adapter on embed_tokens learns, or is refused", embeddings, may_refuse=True),
    Check("merge", GROUP, "the merged model is the model that was trained", merge),
    Check("merge-after-sft", GROUP, "the same on top of an SFT adapter", merge_after_sft),
    Check(
        "merge-tied",
        GROUP,
        "the same for an adapter on embeddings that are tied to the head, or it is refused",
        merge_tied,
        may_refuse=True,
    ),
)
