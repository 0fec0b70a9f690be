"""dpo_loss: votes as a loss. Reference values computed by hand; properties by hypothesis."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from training.contract.config import TIE_THRESHOLD
from training.engine.trainers.losses import PairLogps, PairTerms, combined_loss, dpo_loss, ipo_loss, tie_loss

margins = st.floats(-30, 30)
shares = st.floats(0, 1)
offsets = st.floats(-3, 3)


def real(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64)


def test_plain_preferences_are_trl_s_sigmoid_to_the_last_digit():
    delta = torch.randn(1000, requires_grad=True) * 20
    ones = torch.ones(1000)
    for ours in (dpo_loss(delta), dpo_loss(delta, ones, 0 * ones, ones, 0 * ones)):
        assert torch.equal(ours, -F.logsigmoid(delta))
    gradient = torch.autograd.grad(dpo_loss(delta, ones, 0 * ones, ones, 0 * ones).sum(), delta, retain_graph=True)
    assert torch.equal(gradient[0], torch.autograd.grad((-F.logsigmoid(delta)).sum(), delta)[0])


@given(margins, shares, offsets, st.floats(0, 5), shares)
def test_swapping_the_sides_changes_nothing_but_the_sign_of_the_gradient(delta, p, offset, weight, tie):
    values, slopes = [], []
    for side in (1, -1):
        margin = real(side * delta).requires_grad_()
        loss = dpo_loss(margin, p if side > 0 else 1 - p, side * offset, weight, tie)
        loss.backward()
        values.append(float(loss.detach()))
        slopes.append(float(margin.grad))
    assert values[0] == pytest.approx(values[1], rel=1e-9, abs=1e-9)
    assert slopes[0] == pytest.approx(-slopes[1], rel=1e-9, abs=1e-9)


@given(margins, st.floats(1e-3, 5), offsets)
def test_a_clear_preference_falls_with_the_margin_and_asks_for_the_offset(delta, more, offset):
    assert float(dpo_loss(real(delta + more), 1.0, offset)) <= float(dpo_loss(real(delta), 1.0, offset))
    assert float(dpo_loss(real(offset), 1.0, offset)) == pytest.approx(math.log(2))


@given(margins, st.floats(0, 1e6))
def test_a_weight_multiplies(delta, weight):
    assert float(dpo_loss(real(delta), weight=weight)) == pytest.approx(weight * float(dpo_loss(real(delta))))


@given(st.floats(0, 30), st.floats(0.01, 3), st.floats(0.1, 3))
def test_a_tie_is_symmetric_and_least_where_both_sides_are_equal(delta, more, threshold):
    assert float(tie_loss(real(delta), threshold)) == pytest.approx(float(tie_loss(real(-delta), threshold)))
    assert float(tie_loss(real(delta + more), threshold)) >= float(tie_loss(real(delta), threshold))


@given(st.floats(-8, 8), st.floats(0.1, 2))
def test_rao_and_kupper_s_three_probabilities_add_up_to_one(delta, threshold):
    wins, loses = torch.sigmoid(real(delta - threshold)), torch.sigmoid(real(-delta - threshold))
    tied = torch.exp(-tie_loss(real(delta), threshold))
    assert float(wins + loses + tied) == pytest.approx(1)


def test_at_equal_texts_the_default_threshold_calls_a_tie_every_other_time():
    assert float(torch.exp(-tie_loss(real(0.0), TIE_THRESHOLD))) == pytest.approx(0.5)


@given(st.floats(0.01, 0.99))
def test_a_soft_label_is_met_where_the_model_is_as_unsure_as_the_people(p):
    margin = real(math.log(p / (1 - p))).requires_grad_()
    dpo_loss(margin, p).backward()
    assert float(margin.grad) == pytest.approx(0, abs=1e-12)


def test_ipo_asks_for_its_margin_and_no_more():
    assert float(ipo_loss(real(5.0), 0.1)) == 0
    assert float(ipo_loss(real(6.0), 0.1)) == pytest.approx(1)
    assert float(ipo_loss(real(0.0), 0.1, p=0.5)) == pytest.approx(25)
    assert float(ipo_loss(real(0.0), 0.1, tie=real(1.0))) == 0


def test_parts_of_a_step_add_up_to_the_step():
    torch.manual_seed(0)
    logps = PairLogps(-torch.rand(6, 2) * 50, -torch.rand(6, 2) * 50, torch.randint(1, 40, (6, 2)))
    terms = PairTerms(torch.rand(6), torch.rand(6), torch.rand(6), torch.rand(6))
    names, factors = ("sigmoid", "ipo", "sigmoid_norm", "sft"), (1.0, 0.5, 0.3, 0.2)
    counts = {"beta": 0.1, "threshold": TIE_THRESHOLD, "pairs": 6.0, "chosen_tokens": 99.0}
    whole = combined_loss(names, factors, logps, terms, **counts)
    parts = [
        combined_loss(
            names,
            factors,
            PairLogps(logps.policy[cut], logps.reference[cut], logps.tokens[cut]),
            PairTerms(terms.p[cut], terms.offset[cut], terms.weight[cut], terms.tie[cut]),
            **counts,
        )
        for cut in (slice(0, 1), slice(1, 4), slice(4, 6))
    ]
    torch.testing.assert_close(sum(parts), whole)
