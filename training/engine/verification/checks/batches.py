"""How rows are cut into batches must not matter: packing, accumulation, processes, and the end of an epoch."""

from dataclasses import replace

from training.engine.verification import models, oracle
from training.engine.verification.bench import Bench
from training.engine.verification.check import Check, Finding, decisive, within
from training.engine.verification.jobs import Settings
from training.engine.verification.oracle import LN_2
from training.engine.verification.pairs import make_pairs

GROUP = "batches"
STEPS = 4
WHOLE = Settings(steps=STEPS, batch_size=8, learning_rate=1e-3)
TOLERANCE = 1e-4  # after a few steps of Adam, which turns the last digits of small gradients into whole steps
PAIRS = make_pairs(16, seed=5)
FEW = make_pairs(8, seed=6)
STILL = 1e-12  # a rate at which nothing moves


def losses_apart(bench: Bench, one: Settings, *others: Settings, pairs: tuple = PAIRS) -> Finding:
    """The largest distance of the losses of the same steps, computed in different ways."""
    expected = bench.train(pairs, one).reported("loss")
    decisive(abs(expected[-1] - expected[0]), TOLERANCE, "a step that does not learn")
    worst = 0.0
    for other in others:
        losses = bench.train(pairs, other).reported("loss")
        if len(losses) != len(expected):
            return Finding(False, f"{len(losses)} steps instead of {len(expected)}")
        worst = max(worst, *(abs(a - b) for a, b in zip(expected, losses, strict=True)))
    return within(worst, TOLERANCE, f"losses of {len(expected)} steps differ by {worst:.2g} at most")


def packed_is_padded(bench: Bench) -> Finding:
    return losses_apart(bench, replace(WHOLE, packing=False), replace(WHOLE, packing=True))


def accumulation(bench: Bench) -> Finding:
    return losses_apart(
        bench, WHOLE, replace(WHOLE, batch_size=4, accumulation=2), replace(WHOLE, batch_size=1, accumulation=8)
    )


def accumulation_of_tokens(bench: Bench) -> Finding:
    """A mean over tokens is not the mean of the micro-batches' means, unless these count their tokens."""
    both = replace(WHOLE, losses=("sigmoid", "sft"))
    return losses_apart(bench, both, replace(both, batch_size=1, accumulation=8))


def processes(bench: Bench) -> Finding:
    """Each step has all rows, so that their order does not matter: only how they are divided and reduced does."""
    return losses_apart(
        bench,
        WHOLE,
        replace(WHOLE, batch_size=4, processes=2),
        replace(WHOLE, batch_size=2, accumulation=2, processes=2),
        pairs=FEW,
    )


def each_row_once(bench: Bench, count: int, settings: Settings) -> Finding:
    """At a rate of nothing, steps' losses times their rows add up to those of all rows, each counted once.

    The loss is ln 2 plus the chosen side's mean negative log-likelihood; all chosen sides are of one length, so that
    means over tokens are means over rows.
    """
    pairs = make_pairs(count, seed=8, chosen=12)
    rows = settings.batch_size * settings.accumulation * settings.processes
    steps = -(-count // rows)
    settings = replace(settings, steps=steps, learning_rate=STILL, losses=("sigmoid", "sft"))
    losses = bench.train(pairs, settings).reported("loss")
    if len(losses) != steps:
        return Finding(False, f"{len(losses)} steps instead of {steps}: rows are left out")
    folder = bench.model("llama")
    tokens = oracle.completion_tokens(models.load_tokenizer(folder), pairs)[:, 0]
    each = -bench.logps(folder, (), pairs)[:, 0] / tokens
    sizes = [rows] * (steps - 1) + [count - rows * (steps - 1)]
    measured = sum(size * (loss - LN_2) for size, loss in zip(sizes, losses, strict=True)) / count
    expected = float(each.mean())
    decisive(float(each.std()) / count, 1e-4, "a row that counts twice")
    return within(
        abs(measured - expected),
        1e-4,
        f"mean over {count} rows in steps of {rows}: {measured:.6f}, right {expected:.6f}",
    )


def last_step(bench: Bench) -> Finding:
    return each_row_once(bench, 9, Settings(steps=0, batch_size=4))


def last_step_accumulated(bench: Bench) -> Finding:
    return each_row_once(bench, 7, Settings(steps=0, batch_size=2, accumulation=2))


def last_step_of_processes(bench: Bench) -> Finding:
    return each_row_once(bench, 9, Settings(steps=0, batch_size=2, processes=2))


CHECKS = (
    Check("packed-padded", GROUP, "packed rows train as padded ones", packed_is_padded),
    Check("accumulation", GROUP, "8 rows at once = 4 twice = 1 eight times", accumulation),
    Check(
        "accumulation-tokens",
        GROUP,
        "the same with an SFT term, a mean over the tokens of the whole step",
        accumulation_of_tokens,
    ),
    Check("processes", GROUP, "two processes train as one, with and without accumulation", processes),
    Check("last-step", GROUP, "in an epoch's last, shorter step each row counts once", last_step),
    Check("last-step-accumulated", GROUP, "the same with accumulation", last_step_accumulated),
    Check(
        "last-step-processes",
        GROUP,
        "the same with two processes: rows repeated to fill up the last step do not count twice",
        last_step_of_processes,
    ),
)
