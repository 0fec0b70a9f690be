"""Each note on literal lines: it speaks where the figures say so, and is silent where they do not."""

import pytest

from training.contract.headline import steps_of
from training.reports.diagnostics import notes_of

DPO = {"program": "train_dpo", "losses": ["sigmoid"], "batch_size": 8, "max_grad_norm": 1.0, "learning_rate": 5e-5}
SFT_TERM = {**DPO, "losses": ["sigmoid", "sft"], "loss_weights": [1.0, 1.0]}


def ramp(first, last, count=60):
    return [first + (last - first) * n / (count - 1) for n in range(count)]


def lines(count=60, total=60, **series):
    """Step lines of a run that goes well, but for `series` (a value for all steps, or one each)."""
    good = {
        "loss": ramp(0.6931, 0.45, count),
        "reward_accuracy": ramp(0.5, 0.8, count),
        "grad_norm": 0.7,
        "reward_margin": ramp(0.0, 1.5, count),
        "reward_chosen": ramp(0.0, 0.5, count),
    }
    table = {key: value if isinstance(value, list) else [value] * count for key, value in {**good, **series}.items()}
    steps = [{key: values[n] for key, values in table.items()} for n in range(count)]
    return [{"step": n + 1, "total_steps": total, **step} for n, step in enumerate(steps)]


def said(given, config=DPO, **more):
    return {note.key: note for note in notes_of(steps_of(given), config=config, **more)}


def test_a_good_run_is_left_in_peace():
    assert said(lines()) == {}
    assert said([]) == {}
    assert notes_of(steps_of([{"event": "started"}, {"stage": "reference", "done": 1, "total": 2}])) == []


def test_the_chosen_log_probability_falls_as_well():
    falling = lines(reward_chosen=ramp(0.0, -0.6))
    note = said(falling)["chosen_falls"]
    assert note.tone == "info"
    assert note.sentence == (
        "The chosen log-probability falls as well, which is normal while the margin grows; add the SFT term if output "
        "degrades."
    )
    note = said(falling, SFT_TERM)["chosen_falls"]
    assert note.tone == "warn"
    assert "although the SFT term is on" in note.sentence
    note = said(lines(reward_chosen=ramp(0.0, -0.6), reward_margin=ramp(0.1, -0.3)))["chosen_falls"]
    assert note.tone == "bad"
    assert "the margin does not grow" in note.sentence


def test_the_first_loss_is_ln_2():
    wrong = lines(loss=ramp(0.9, 0.5), reward_margin=ramp(0.4, 1.5))
    assert "0.9, not 0.693" in said(wrong)["first_loss"].sentence
    assert said(wrong)["first_loss"].tone == "bad"
    assert said(lines(loss=ramp(0.9, 0.5))) == {}, "no margin yet: the first rows weigh more than others"
    assert said(lines(count=4))["first_loss"].tone == "info"
    with_term = lines(count=4, total=60, loss=2.1)
    assert "because the SFT term is added" in said(with_term, SFT_TERM)["first_loss"].sentence
    assert "first_loss" not in said(wrong, {**DPO, "strength_offset": 0.5})
    assert "first_loss" not in said(wrong, {**DPO, "losses": ["ipo"]})
    assert "first_loss" not in said(wrong, {**DPO, "program": "train_sft"})
    assert "first_loss" not in said(wrong[5:]), "the first step is not among these lines"


def test_accuracy_near_100_percent_early():
    assert said(lines(total=300, reward_accuracy=1.0))["easy_accuracy"].tone == "warn"
    late = [0.6] * 30 + [1.0] * 30
    assert "easy_accuracy" not in said(lines(reward_accuracy=late))


def test_accuracy_of_chance_after_many_steps():
    chance = {"reward_accuracy": 0.5, "reward_margin": 0.3}
    assert "which is chance" in said(lines(**chance))["accuracy_of_chance"].sentence
    assert "accuracy_of_chance" not in said(lines(count=40, **chance)), "too soon to tell"


def test_loss_not_falling():
    rising = lines(loss=ramp(0.6931, 0.9))
    assert "0.7124 in the first fifth, 0.8807 in the last" in said(rising)["loss_not_falling"].sentence
    sft = said(lines(loss=2.5), {"program": "train_sft", "batch_size": 8})
    assert set(sft) == {"loss_not_falling"}


def test_an_exploding_margin():
    assert "Raise beta" in said(lines(reward_margin=ramp(0, 15)))["exploded_margin"].sentence


def test_a_learning_rate_that_is_too_low():
    still = lines(loss=0.692, reward_margin=0.002, reward_accuracy=0.5, reward_chosen=0.0)
    assert set(said(still)) == {"hardly_moved"}, "said once, not three times"
    assert "5.00e-05" in said(still)["hardly_moved"].sentence


def test_a_gradient_that_is_always_clipped():
    assert "100 % of the steps" in said(lines(grad_norm=6.5))["always_clipped"].sentence
    assert "always_clipped" not in said(lines(grad_norm=[6.5, 0.5] * 30))


@pytest.mark.parametrize(("count", "words"), [(1, "1 row is longer than 512"), (12, "12 rows are longer than 512")])
def test_rows_that_were_cut(count, words):
    note = said(lines(), {**DPO, "max_length": 512}, preflight={"truncated": {"count": count, "rows": [3]}})["rows_cut"]
    assert words in note.sentence


def test_rows_that_were_dropped():
    dropped = {"truncation would empty it": {"count": 2, "rows": [1, 2]}, "same": {"count": 1, "rows": [9]}}
    assert "3 rows were left out" in said(lines(), preflight={"dropped": dropped})["rows_dropped"].sentence
    assert said(lines(), preflight={"dropped": {}, "truncated": {"count": 0, "rows": []}}) == {}


def test_few_rows_many_times():
    note = said(lines(), {**DPO, "epochs": 5.0, "share": 0.5}, rows=200)["few_rows"]
    assert "100 rows, each seen 5 times" in note.sentence
    assert "few_rows" not in said(lines(), {**DPO, "epochs": 1.0}, rows=200)
    assert "few_rows" not in said(lines(), {**DPO, "epochs": 5.0}, rows=9000)


def test_small_batches_are_noisy():
    assert "from 4 rows" in said(lines(), {**DPO, "batch_size": 2, "gradient_accumulation": 2})["noisy"].sentence
    assert "noisy" not in said(lines(), {**DPO, "batch_size": 2, "gradient_accumulation": 4})


def test_a_fallback_to_plain_trl_names_its_reason():
    result = {"method": {"packing": False, "why": "gemma3 attends within a sliding window"}}
    assert "gemma3 attends" in said(lines(), result=result)["plain_trl"].sentence
    assert "plain_trl" not in said(lines(), {**DPO, "packing": False}, result=result), "it was asked for"
    assert "plain_trl" not in said(lines(), result={"method": {"packing": True, "why": ""}})


def test_the_weightiest_comes_first_and_what_was_undone_does_not_count():
    given = lines(loss=ramp(0.9, 0.5), reward_margin=ramp(0.4, 1.5), reward_chosen=ramp(0.0, -0.6))
    assert [note.tone for note in notes_of(steps_of(given), config=DPO)] == ["bad", "info"]
    begun_anew = [*given, *lines()]
    assert said(begun_anew) == {}


def test_batches_that_differ_by_chance_are_no_warning():
    """The same means without noise are warned of; with noise of this size nothing can be known yet."""

    def noisy(values, by):
        return [value + (by if n % 2 else -by) for n, value in enumerate(values)]

    flat = [0.6931] * 60
    assert "loss_not_falling" in said(lines(loss=noisy(flat, 0.01)))
    assert "loss_not_falling" not in said(lines(loss=noisy(flat, 0.2)))
    assert "chosen_falls" in said(lines(reward_chosen=noisy([-0.1] * 60, 0.02)))
    assert "chosen_falls" not in said(lines(reward_chosen=noisy([-0.1] * 60, 0.5)))
    chance = lines(reward_accuracy=noisy([0.5] * 60, 0.05))
    assert "accuracy_of_chance" in said(chance)
    assert "accuracy_of_chance" not in said(lines(reward_accuracy=noisy([0.5] * 60, 0.3)))
    assert "exploded_margin" in said(lines(reward_margin=noisy(ramp(0, 12), 0.5)))
    assert "exploded_margin" not in said(lines(reward_margin=noisy([9.0] * 60, 6.0)))
    falls_by_chance = lines(reward_chosen=ramp(0.0, -0.6), reward_margin=noisy([0.3] * 59 + [0.2], 0.4))
    assert said(falls_by_chance)["chosen_falls"].tone == "info", "the margin may as well have grown"
