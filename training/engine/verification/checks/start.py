"""The first steps: ln 2, the log-probabilities, the loss and its gradient, and the reference under LoRA."""

from dataclasses import replace
from functools import partial

from training.engine.verification import models, oracle
from training.engine.verification.bench import Bench
from training.engine.verification.check import Check, Finding, decisive, off, within
from training.engine.verification.jobs import Lora, Settings
from training.engine.verification.oracle import LN_2
from training.engine.verification.pairs import make_pairs

GROUP = "first steps"
PAIRS = make_pairs(8)
ONE_STEP = Settings(steps=1, batch_size=8, learning_rate=3e-3)
LOSS = 1e-5  # of losses around 1, in float32
RELATIVE = 1e-5  # of log-probabilities, which are in the hundreds


def initial_loss(bench: Bench, lora: Lora | None = None, *, after_sft: bool = False) -> Finding:
    adapter = bench.sft_adapter() if after_sft else None
    loss = bench.train(PAIRS, replace(ONE_STEP, lora=lora), adapter=adapter).reported("loss")[0]
    return within(abs(loss - LN_2), LOSS, f"first loss {loss:.7f}, ln 2 is {LN_2:.7f}")


def log_probabilities(bench: Bench) -> Finding:
    expected = bench.logps(bench.model("llama"), (), PAIRS).mean(dim=0).tolist()
    reported = bench.first_reported("llama", PAIRS, ONE_STEP)
    return within(
        off(reported, expected),
        RELATIVE,
        f"reported {reported[0]:.4f} and {reported[1]:.4f}, alone {expected[0]:.4f} and {expected[1]:.4f}",
    )


def loss_of_a_moved_policy(bench: Bench) -> Finding:
    steps = bench.two_steps(PAIRS)
    expected = steps.expected()
    decisive(abs(expected - LN_2), LOSS, "a policy that stayed where it was")
    return within(abs(steps.measured - expected), LOSS, f"second loss {steps.measured:.7f}, closed form {expected:.7f}")


def gradient(bench: Bench) -> Finding:
    """The norm before clipping, which Adam would hide: its first step has the size of the rate, whatever the norm."""
    reported = bench.train(PAIRS, ONE_STEP).reported("grad_norm")[0]
    folder = bench.model("llama")
    model = models.load(folder)
    policy = oracle.logps(model, models.load_tokenizer(folder), PAIRS)
    loss = oracle.dpo_losses(policy, policy.detach(), PAIRS, ONE_STEP.beta).mean()
    expected = oracle.gradient_norm(model, loss)
    return within(
        abs(reported / expected - 1),
        1e-4,
        f"reported norm {reported:.6g}, by autograd on single sequences {expected:.6g}",
    )


def preference_is_learnt(bench: Bench) -> Finding:
    settings = Settings(steps=6, batch_size=8, learning_rate=3e-3, lora=Lora())
    outcome = bench.train(PAIRS, settings)
    before = bench.logps(bench.model("llama"), (), PAIRS)
    after = bench.logps(outcome.base, outcome.adapters, PAIRS)
    gains = (after - before)[:, 0] - (after - before)[:, 1]
    share = float((gains > 0).double().mean())
    return Finding(
        share >= 0.75 and float(gains.mean()) > 0,
        f"after 6 steps the chosen side has gained on the rejected one in {share:.0%} of the pairs, "
        f"by {float(gains.mean()):.3g} on average",
    )


def reference_under_lora(bench: Bench) -> Finding:
    """The reference is the model with its SFT adapter, the new adapter off."""
    adapter = bench.sft_adapter()
    steps = bench.two_steps(PAIRS, lora=Lora(), adapter=adapter, learning_rate=1e-2)
    expected = steps.expected()
    decisive(abs(expected - LN_2), LOSS, "a reference that moves along")
    base = bench.logps(bench.model("llama"), (), PAIRS)
    decisive(abs(expected - steps.expected(reference=base)), LOSS, "the base as the reference")
    return within(abs(steps.measured - expected), LOSS, f"second loss {steps.measured:.7f}, closed form {expected:.7f}")


def first_rate(bench: Bench) -> Finding:
    settings = replace(ONE_STEP, steps=10, schedule="linear", warmup=0.1)
    rates = bench.train(PAIRS, settings).reported("learning_rate")
    idle = sum(rate <= 0 for rate in rates)
    return Finding(idle == 0, f"rate of the first step {rates[0]:.3g}; {idle} of {len(rates)} steps at rate 0")


CHECKS = (
    Check("initial-loss", GROUP, "the first loss is ln 2 (all weights)", initial_loss),
    Check("initial-loss-lora", GROUP, "the first loss is ln 2 (new LoRA adapter)", partial(initial_loss, lora=Lora())),
    Check(
        "initial-loss-after-sft",
        GROUP,
        "the first loss is ln 2 on top of an SFT adapter",
        partial(initial_loss, lora=Lora(), after_sft=True),
    ),
    Check(
        "log-probabilities",
        GROUP,
        "reported log-probabilities are those of each sequence alone: no padding counted in, no token left out",
        log_probabilities,
    ),
    Check("loss", GROUP, "the loss of a policy that has moved is the closed form", loss_of_a_moved_policy),
    Check("gradient", GROUP, "the gradient's norm is that of the closed form", gradient),
    Check("learning", GROUP, "chosen answers gain on rejected ones", preference_is_learnt),
    Check(
        "reference-lora",
        GROUP,
        "the reference is the model that training started from, SFT adapter included, not the base and not the policy",
        reference_under_lora,
    ),
    Check("first-rate", GROUP, "with a warm-up of a tenth of 10 steps, no step has rate 0", first_rate),
)
