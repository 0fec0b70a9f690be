"""Evaluation metrics against the same metrics computed by hand from the model's logits."""

import functools
import math
import statistics

import pytest

from tests.engine.conftest import (
    chat,
    dpo_rows,
    make_run,
    run_for_the_site,
    run_here,
    sft_rows,
    texts,
    user,
    write_rows,
)
from training.contract.config import EvaluationConfig, ModelSource
from training.contract.errors import DatasetError

pytestmark = pytest.mark.engine


def evaluation(path, rows, **changes):
    config = EvaluationConfig(run_id="e", max_length=128, max_new_tokens=8, sample_outputs=3, threads=1, **changes)
    directory = make_run(path, config)
    write_rows(directory, rows, "held_out")
    return directory


@functools.cache
def loaded(source):
    from training.engine.models import loading

    return loading.load_model(source), loading.load_tokenizer(source)


def logp(source, row, column):
    """Summed log-probability of one completion, without batching and without the trainer's head."""
    import torch

    model, tokenizer = loaded(source)
    chat = {"tokenize": True, "return_dict": True}
    prompt = tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True, **chat)["input_ids"]
    ids = torch.tensor(tokenizer.apply_chat_template(row["prompt"] + row[column], **chat)["input_ids"])
    with torch.no_grad():
        logps = model(ids[None, :-1]).logits[0].log_softmax(-1)
    picked = logps.gather(1, ids[1:, None])[len(prompt) - 1 :]
    return picked.sum().item(), len(picked)


def test_preferences_against_parent_and_reference(tiny, sft_adapter, tmp_path):
    trained = ModelSource(base=tiny.base, adapters=(str(sft_adapter),))
    rows = [{**row, "reference": chat(number)[1]} for number, row in enumerate(dpo_rows(12))]
    rows.append({**rows[0], "tie": True})
    directory = evaluation(tmp_path, rows, model=trained, parent=tiny, reference=tiny, beta=0.5)
    assert run_here("evaluate", directory) == 0, directory.read_result()
    result = directory.read_result()
    figures = result["metrics"]
    assert result["rows"]["used"] == figures["preference_pairs"] == 12
    assert result["rows"]["dropped_ties"] == 1

    scores = texts(tmp_path / "scores.jsonl")
    assert [score["row"] for score in scores] == list(range(12))
    won, margins, after, before, tokens = [], [], [], [], 0
    for row, score in zip(rows, scores, strict=False):
        (chosen, n), (rejected, m) = logp(trained, row, "chosen"), logp(trained, row, "rejected")
        (old_chosen, _), (old_rejected, _) = logp(tiny, row, "chosen"), logp(tiny, row, "rejected")
        assert score["model_chosen_logp"] == pytest.approx(chosen, abs=1e-3)
        assert score["reference_rejected_logp"] == pytest.approx(old_rejected, abs=1e-3)
        won.append(chosen / n > rejected / m)
        margins.append(0.5 * ((chosen - old_chosen) - (rejected - old_rejected)))
        after.append(chosen)
        before.append(old_chosen)
        tokens += n
    assert figures["logp_accuracy"] == pytest.approx(sum(won) / 12)
    assert figures["reward_accuracy"] == pytest.approx(sum(margin > 0 for margin in margins) / 12)
    assert figures["reward_margin"] == pytest.approx(sum(margins) / 12, abs=1e-3)
    change = 100 * (sum(after) - sum(before)) / abs(sum(before))
    assert figures["chosen_logp_change_pct"] == pytest.approx(change, abs=0.01)
    assert figures["perplexity"] == pytest.approx(math.exp(-sum(after) / tokens), rel=1e-4)
    low, high = figures["reward_accuracy_interval"]
    assert 0 <= low <= figures["reward_accuracy"] <= high <= 1
    assert high - low > 0.2  # twelve pairs never settle it, not even all alike
    assert {"chrf", "bleu", "parent_chrf", "parent_bleu", "parent_logp_accuracy"} <= set(figures)
    assert "tok:13a" in figures["bleu_signature"]
    samples = texts(tmp_path / "samples.jsonl")
    assert len(samples) == 3
    assert set(samples[0]) == {"prompt", "output", "parent_output", "reference", "chosen"}
    lines = [line for line in directory.read_metrics()[0] if "done" in line]
    assert lines[-1]["done"] == lines[-1]["total"]


def test_written_references_alone(tiny, tmp_path):
    rows = [{"prompt": user("hi"), "completion": [{"role": "assistant", "content": "こんにちは。"}]}, *sft_rows(4)]
    directory = evaluation(
        tmp_path, [{k: row[k] for k in ("prompt", "completion")} for row in rows], model=tiny, target_language="ja"
    )
    assert run_here("evaluate", directory) == 0
    figures = directory.read_result()["metrics"]
    assert "tok:char" in figures["bleu_signature"]
    assert "logp_accuracy" not in figures
    assert "parent_chrf" not in figures
    assert figures["outputs"] == 5


def test_token_ids_are_shared_with_other_evaluations_and_runs(tiny, tmp_path, monkeypatch):
    from training.engine.data import tokenization

    folder = tmp_path / "tokens"
    first = evaluation(tmp_path / "a", dpo_rows(6), model=tiny, token_cache=str(folder))
    assert run_here("evaluate", first) == 0, first.read_result()
    monkeypatch.setattr(tokenization, "split", None)
    second = evaluation(tmp_path / "b", dpo_rows(6), model=tiny, token_cache=str(folder))
    assert run_here("evaluate", second) == 0, second.read_result()
    assert len(list(folder.iterdir())) == 1
    assert second.scores_path.read_text() == first.scores_path.read_text()


def test_desirable_rows_of_a_kto_dataset(tiny, tmp_path):
    rows = [{**row, "label": number % 2 == 0} for number, row in enumerate(sft_rows(6))]
    directory = evaluation(tmp_path, rows, model=tiny)
    assert run_here("evaluate", directory) == 0
    assert directory.read_result()["metrics"]["rows"] == 3


def test_labelled_rows_are_measured_by_the_reward_of_kto(tiny, sft_adapter, tmp_path):
    trained = ModelSource(base=tiny.base, adapters=(str(sft_adapter),))
    rows = [{**row, "label": number % 3 > 0} for number, row in enumerate(sft_rows(9))]
    directory = evaluation(tmp_path, rows, model=trained, parent=tiny, reference=tiny, beta=0.5)
    assert run_here("evaluate", directory) == 0, directory.read_result()
    figures = directory.read_result()["metrics"]
    rewards = [0.5 * (logp(trained, row, "completion")[0] - logp(tiny, row, "completion")[0]) for row in rows]
    right = [(reward > 0) == row["label"] for reward, row in zip(rewards, rows, strict=True)]
    assert figures["rows"] == 6  # perplexity is that of the good texts
    assert figures["label_accuracy"] == pytest.approx(sum(right) / 9)
    good = [reward for reward, row in zip(rewards, rows, strict=True) if row["label"]]
    margin = sum(good) / 6 - (sum(rewards) - sum(good)) / 3
    assert figures["reward_margin"] == pytest.approx(margin, abs=1e-3)
    assert [score["label"] for score in texts(tmp_path / "scores.jsonl")] == [row["label"] for row in rows]
    assert figures["outputs"] == 6


def encoded(source, rows):
    from training.engine.data.rows import Counts
    from training.engine.data.tokenization import tokenize

    found = tokenize(loaded(source)[1], rows, range(len(rows)), ("chosen", "rejected"), Counts())
    return [(item.prompt_ids, item.completion_ids) for item in found]


@pytest.mark.parametrize("reason", ["", "an architecture of its own"])
def test_scores_do_not_depend_on_the_batches(tiny, monkeypatch, caplog, reason):
    from training.engine.inference.scoring import Scorer
    from training.engine.models import loading
    from training.engine.packed import forward

    rows = [{**row, "prompt": user(chat(n)[0] * (1 + n % 3))} for n, row in enumerate(dpo_rows(9))]
    pairs = encoded(tiny, rows)
    assert len({len(prompt) for prompt, _ in pairs}) > 1
    model = loading.load_model(tiny)
    if reason:
        monkeypatch.setattr(forward, "unsupported_reason", lambda model: reason)
    heard = []
    with caplog.at_level("INFO", logger="konomi.engine"):
        wide = Scorer(model, pad_id=0).score(pairs, heard.append)
    assert heard == [18]
    assert ("scored without packing" in caplog.text) == bool(reason)
    narrow = Scorer(loading.load_model(tiny), pad_id=0, most_tokens=150).score(pairs, heard.append)
    assert len(heard) > 3
    for one, other, row in zip(wide, narrow, rows, strict=True):
        for column, score, again in zip(("chosen", "rejected"), one, other, strict=True):
            assert (score.logp, score.tokens) == (pytest.approx(logp(tiny, row, column)[0], abs=1e-4), again.tokens)
            assert again.logp == pytest.approx(score.logp, abs=1e-4)


def test_batches_hold_to_their_budget_and_are_halved_when_memory_runs_out(caplog):
    import torch

    from training.engine.inference.batching import in_batches

    lengths = [5, 30, 10, 30, 5, 5, 10, 5]
    seen = []
    in_batches(lengths, seen.append, cost=lambda rows, longest: rows * longest, budget=30)
    assert [[lengths[n] for n in batch] for batch in seen] == [[30], [30], [10, 10, 5], [5, 5, 5]]
    done = []

    def small_machine(batch):
        if sum(lengths[n] for n in batch) > 40:
            raise torch.OutOfMemoryError("CUDA out of memory")
        done.append(batch)

    with caplog.at_level("WARNING", logger="konomi.engine"):
        in_batches(lengths, small_machine, cost=lambda rows, longest: rows * longest, budget=10_000)
    assert sorted(n for batch in done for n in batch) == list(range(8))
    assert caplog.text.count("halved") == 1
    lengths[0] = 50
    with pytest.raises(torch.OutOfMemoryError):  # a single row that does not fit
        in_batches([50], small_machine, cost=lambda rows, longest: longest, budget=1)


@pytest.mark.parametrize(
    ("rows", "message"),
    [([{"text": "x"}], "has the columns text"), ([{**dpo_rows(1)[0], "tie": True}], "No preference")],
)
def test_rows_that_cannot_be_evaluated_are_refused(tiny, tmp_path, rows, message):
    directory = evaluation(tmp_path, rows, model=tiny)
    assert run_here("evaluate", directory) == 1
    assert message in directory.read_result()["error"]


def test_a_cancel_is_heeded(tiny, tmp_path):
    directory = evaluation(tmp_path, dpo_rows(3), model=tiny)
    directory.request_cancel()
    assert run_for_the_site("evaluate", directory) == 3
    assert directory.read_result()["status"] == "cancelled"


def test_chrf_and_bleu_of_equal_texts_are_100():
    from training.engine.inference.metrics import text_figures

    found = text_figures(["今日は晴れです。"], None, ["今日は晴れです。"], "ja-JP")
    assert found["chrf"] == pytest.approx(100)
    assert found["bleu"] == pytest.approx(100)
    assert "tok:char" in found["bleu_signature"]
    assert "chrf_interval" not in found, "a single text has no spread"


def test_texts_are_compared_with_the_parents_by_paired_bootstrap():
    import random

    from training.engine.inference.metrics import text_figures

    random.seed(3)
    letters = "abcdefgh"
    references = [" ".join(random.choices(letters, k=12)) for _ in range(60)]
    near = [" ".join(random.choice(letters) if n % 6 == 0 else w for n, w in enumerate(r.split())) for r in references]
    far = [" ".join(random.choice(letters) if n % 2 == 0 else w for n, w in enumerate(r.split())) for r in references]
    better, worse = text_figures(near, far, references, "en"), text_figures(far, near, references, "en")
    assert (better["chrf_verdict"], better["bleu_verdict"]) == ("better", "better")
    assert (worse["chrf_verdict"], worse["bleu_verdict"]) == ("worse", "worse")
    assert better["chrf"] == worse["parent_chrf"]
    for key in ("chrf", "bleu", "parent_chrf", "parent_bleu"):
        low, high = better[f"{key}_interval"]
        assert low < better[key] < high
        assert 1 < high - low < 20
    assert "bs:1000" in better["chrf_signature"]
    same = text_figures(near, list(near), references, "en")
    assert (same["chrf_verdict"], same["bleu_verdict"]) == ("unclear", "unclear")


def test_intervals_and_verdicts_of_scores():
    from training.engine.inference import metrics
    from training.engine.inference.scoring import Score

    reference = [(Score(-10.0 - n % 3, 5), Score(-9.0, 5)) for n in range(40)]
    ahead = [(Score(a.logp + 2 + n % 2, 5), Score(b.logp - 1, 5)) for n, (a, b) in enumerate(reference)]
    found = metrics.reward_figures(ahead, reference, beta=0.5)
    margins = [0.5 * (3 + n % 2) for n in range(40)]
    half = 1.959964 * statistics.stdev(margins) / math.sqrt(40)
    assert found["reward_margin_interval"] == pytest.approx([1.75 - half, 1.75 + half], abs=1e-5)
    assert (found["reward_accuracy"], found["reward_accuracy_verdict"]) == (1, "better")
    assert found["reward_margin_verdict"] == "better"
    behind = metrics.reward_figures(reference, ahead, beta=0.5)
    assert (behind["reward_accuracy_verdict"], behind["reward_margin_verdict"]) == ("worse", "worse")
    alike = metrics.reward_figures(reference, reference, beta=0.5)
    assert (alike["reward_accuracy"], alike["reward_accuracy_verdict"]) == (0.5, "unclear")

    first, old = [pair[0] for pair in ahead], [pair[0] for pair in reference]
    found = metrics.perplexity_figures(first, old)
    assert found["perplexity_verdict"] == "better"
    assert found["perplexity_interval"][0] < found["perplexity"] < found["perplexity_interval"][1]
    assert found["parent_perplexity_interval"][0] < found["parent_perplexity"] < found["parent_perplexity_interval"][1]
    assert metrics.perplexity_figures(old, first)["perplexity_verdict"] == "worse"
    assert metrics.perplexity_figures(old, old)["perplexity_verdict"] == "unclear"
    alone = metrics.perplexity_figures(old[:1], None)
    assert set(alone) == {"perplexity"}

    found = metrics.logp_figures(ahead, reference)
    assert found["logp_accuracy"] == pytest.approx(1 - 7 * 0.5 / 40)  # every sixth pair is equal
    assert found["parent_logp_accuracy"] == 0
    assert found["logp_accuracy_verdict"] == "better"


def test_kto_margins_compare_two_groups():
    from training.engine.inference import metrics
    from training.engine.inference.scoring import Score

    labels = [n % 3 > 0 for n in range(30)]
    before = [Score(-10.0, 5)] * 30
    after = [Score(-10.0 + (n % 4 if label else -1 - n % 2), 5) for n, label in enumerate(labels)]
    found = metrics.label_figures(after, before, labels, beta=0.1)
    good = [0.1 * (n % 4) for n in range(30) if labels[n]]
    bad = [0.1 * (-1 - n % 2) for n in range(30) if not labels[n]]
    error = math.sqrt(statistics.variance(good) / len(good) + statistics.variance(bad) / len(bad))
    middle = statistics.mean(good) - statistics.mean(bad)
    expected = [middle - 1.959964 * error, middle + 1.959964 * error]
    assert found["reward_margin_interval"] == pytest.approx(expected, abs=1e-5)
    assert found["reward_margin_verdict"] == "better"
    assert found["label_accuracy_verdict"] == "better"
    few = metrics.label_figures(after[:3], before[:3], [True, True, False], beta=0.1)
    assert "reward_margin_interval" not in few
    assert few["reward_margin_verdict"] == "unclear"


def other_architecture(tiny, folder, config):
    """A model of another kind with the tiny model's tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny.base)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config(len(tokenizer)))
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return ModelSource(base=str(folder))


def mamba(vocabulary):
    """No attention heads in its configuration, and a state: it is scored without packing."""
    from transformers import MambaConfig

    return MambaConfig(vocab_size=vocabulary, hidden_size=16, num_hidden_layers=1, state_size=4)


def modernbert(vocabulary):
    """A layer before the head, which TRL's head skips."""
    from transformers import ModernBertDecoderConfig

    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}
    return ModernBertDecoderConfig(vocab_size=vocabulary, **sizes, **special)


@pytest.mark.parametrize("config", [mamba, modernbert])
def test_architectures_with_other_heads_and_states_have_their_own_log_probabilities(tiny, tmp_path, config):
    source = other_architecture(tiny, tmp_path / "base", config)
    rows = dpo_rows(6)
    directory = evaluation(tmp_path / "run", rows, model=source)
    assert run_here("evaluate", directory) == 0, directory.read_result()
    for row, score in zip(rows, texts(directory.path / "scores.jsonl"), strict=True):
        assert score["model_chosen_logp"] == pytest.approx(logp(source, row, "chosen")[0], abs=1e-3)
        assert score["model_rejected_logp"] == pytest.approx(logp(source, row, "rejected")[0], abs=1e-3)
    assert directory.read_result()["metrics"]["outputs"] == 3


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("probability", float("nan"), "row 3: probability is nan"),
        ("weight", -1.0, "row 3: weight is -1.0"),
        ("tie", "false", r"row 3: tie is 'false'"),
        ("chosen", [{"role": "assistant", "content": " "}], "1 row has an empty chosen, the first is row 3"),
        ("prompt", None, "1 row has an empty prompt, the first is row 3"),
        ("images", ["a.png"], "1 row with images, the first is row 3"),
        ("label", "false", "1 row without a label .* row 3: label is 'false'"),
    ],
)
def test_held_out_rows_are_checked_as_training_rows_are(column, value, message):
    from training.engine.data.held_out import check_rows

    pairs = column != "label"
    columns = ("chosen", "rejected") if pairs else ("completion",)
    rows = (
        [{**row, "images": None} for row in dpo_rows(4)] if pairs else [{**row, "label": True} for row in sft_rows(4)]
    )
    check_rows(rows, columns)
    rows[2][column] = value
    with pytest.raises(DatasetError, match=f"held_out.parquet.*{message}"):
        check_rows(rows, columns)


def test_an_evaluation_of_rows_with_a_wrong_number_says_which(tiny, tmp_path):
    rows = dpo_rows(4)
    rows[1]["weight"] = -1.0
    directory = evaluation(tmp_path, rows, model=tiny)
    assert run_here("evaluate", directory) == 1
    assert "held_out.parquet, row 2: weight is -1.0" in directory.read_result()["error"]
