"""Votes of annotators: soft labels, weights, ties and margins against the closed form, on a policy that has moved."""

from dataclasses import replace

from training.engine.verification.bench import Bench
from training.engine.verification.check import Check, Finding, decisive, within
from training.engine.verification.jobs import CERTAIN, Labels
from training.engine.verification.pairs import labelled, make_pairs

GROUP = "labels"
PAIRS = make_pairs(8, seed=11)
LOSS = 1e-5


def against_closed_form(bench: Bench, *labels: Labels) -> Finding:
    steps = bench.two_steps(labelled(PAIRS, *labels))
    expected = steps.expected()
    for field in ("preferred", "tie", "weight", "margin"):
        if all(getattr(label, field) == getattr(CERTAIN, field) for label in labels):
            continue
        dropped = labelled(PAIRS, *(replace(label, **{field: getattr(CERTAIN, field)}) for label in labels))
        decisive(abs(steps.expected(pairs=dropped) - expected), LOSS, f"ignoring {field}")
    return within(abs(steps.measured - expected), LOSS, f"second loss {steps.measured:.7f}, closed form {expected:.7f}")


def soft_labels(bench: Bench) -> Finding:
    return against_closed_form(bench, Labels(0.9), Labels(0.6), Labels(2 / 3), Labels(0.25))


def weights(bench: Bench) -> Finding:
    return against_closed_form(bench, Labels(weight=0.2), Labels(weight=3.0), Labels(weight=0.0))


def ties(bench: Bench) -> Finding:
    return against_closed_form(bench, Labels(tie=1.0), Labels(tie=0.25), Labels())


def margins(bench: Bench) -> Finding:
    return against_closed_form(bench, Labels(margin=0.5), Labels(margin=2.0), Labels())


def together(bench: Bench) -> Finding:
    return against_closed_form(
        bench, Labels(0.75, 0.2, 0.5, 1.0), Labels(1.0, 0.0, 2.0, 0.0), Labels(0.4, 0.6, 1.5, 0.25)
    )


CHECKS = (
    Check("soft-labels", GROUP, "a pair's vote share is the target of its loss", soft_labels),
    Check("weights", GROUP, "a pair's weight multiplies its loss, 1 on average over the dataset", weights),
    Check("ties", GROUP, "ties are learnt by Rao and Kupper's probability of a tie", ties),
    Check("margins", GROUP, "a pair's required margin is subtracted (ODPO)", margins),
    Check("labels-together", GROUP, "vote share, ties, weight and margin on one pair", together),
)
