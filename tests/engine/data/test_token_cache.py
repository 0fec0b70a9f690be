"""Token ids are kept by content: the same for the same rows, new ones for anything that moves them."""

import json

import pytest

from tests.engine.conftest import assistant, dpo_rows, make_run, run_here, sft_rows, training, user
from tests.engine.data.tokenizers_of_kinds import CHATML, KINDS, byte_level, prepared
from training.contract.errors import Cancelled, DatasetError

pytestmark = pytest.mark.engine


def cache_in(folder, **options):
    from training.engine.data.token_cache import TokenCache

    return TokenCache(folder, **options)


def files(folder):
    return sorted(folder.glob("*.safetensors"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("purpose", ["sft", "dpo"])
def test_what_is_read_is_what_was_computed(tmp_path, monkeypatch, kind, purpose):
    from training.engine.data import tokenization

    tokenizer = KINDS[kind]()
    rows = sft_rows(7) if purpose == "sft" else dpo_rows(7)
    rows[3]["prompt"] = user("a </s> <|im_end|> b")
    first = prepared(tokenizer, rows, purpose, cache=cache_in(tmp_path))
    monkeypatch.setattr(tokenization, "split", None)  # nothing is computed
    assert prepared(tokenizer, rows, purpose, cache=cache_in(tmp_path)) == first
    monkeypatch.undo()
    assert prepared(tokenizer, rows, purpose) == first
    assert len(files(tmp_path)) == 1


def changed_row(rows):
    rows[0]["prompt"] = user("another")


def with_tools(rows):
    rows[0]["chat_template_kwargs"] = {"a": 1}


def reordered(rows):
    rows.reverse()


@pytest.mark.parametrize("change", [changed_row, with_tools, reordered])
def test_other_rows_have_another_entry(tmp_path, change):
    tokenizer, rows = byte_level(), sft_rows(5)
    prepared(tokenizer, rows, cache=cache_in(tmp_path))
    change(rows)
    found = prepared(tokenizer, rows, cache=cache_in(tmp_path))
    assert len(files(tmp_path)) == 2
    assert found == prepared(tokenizer, rows)


@pytest.mark.parametrize(
    "change",
    [
        lambda tokenizer: setattr(tokenizer, "chat_template", CHATML.replace("<|im_end|>\n", "<|im_end|>")),
        lambda tokenizer: tokenizer.add_tokens(["pool"]),
        lambda tokenizer: tokenizer.add_special_tokens({"additional_special_tokens": ["Dear"]}),
    ],
)
def test_another_tokenizer_or_template_has_another_entry(tmp_path, change):
    tokenizer, rows = byte_level(), sft_rows(5)
    prepared(tokenizer, rows, cache=cache_in(tmp_path))
    change(tokenizer)
    assert prepared(tokenizer, rows, cache=cache_in(tmp_path)) == prepared(tokenizer, rows)
    assert len(files(tmp_path)) == 2


@pytest.mark.parametrize("damage", ["empty", "cut", "letters", "flipped"])
def test_a_damaged_entry_is_computed_again(tmp_path, caplog, damage):
    tokenizer, rows = byte_level(), sft_rows(5)
    expected = prepared(tokenizer, rows, cache=cache_in(tmp_path))
    (path,) = files(tmp_path)
    whole = path.read_bytes()
    flipped = whole[:-3] + bytes([whole[-3] ^ 1]) + whole[-2:]
    path.write_bytes({"empty": b"", "cut": whole[:-20], "letters": b"x" * 400, "flipped": flipped}[damage])
    assert prepared(tokenizer, rows, cache=cache_in(tmp_path)) == expected
    assert "is damaged" in caplog.text
    caplog.clear()
    assert prepared(tokenizer, rows, cache=cache_in(tmp_path)) == expected
    assert "damaged" not in caplog.text


def test_the_oldest_entries_are_removed(tmp_path):
    tokenizer = byte_level()
    for count in (3, 4, 5):
        prepared(tokenizer, sft_rows(count), cache=cache_in(tmp_path))
    before = files(tmp_path)
    prepared(tokenizer, sft_rows(6), cache=cache_in(tmp_path, limit=1))
    (left,) = files(tmp_path)
    assert left not in before


def test_a_folder_that_cannot_be_written_does_not_end_a_run(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    found = prepared(byte_level(), sft_rows(3), cache=cache_in(tmp_path / "file" / "folder"))
    assert found == prepared(byte_level(), sft_rows(3))
    assert "not cached" in caplog.text


def test_a_process_that_does_not_lead_waits_and_reads(tmp_path):
    tokenizer, rows = byte_level(), sft_rows(4)
    waited = []

    def lead():
        waited.append(True)
        prepared(tokenizer, rows, cache=cache_in(tmp_path))

    found = prepared(tokenizer, rows, cache=cache_in(tmp_path, leads=False, barrier=lead))
    assert waited == [True]
    assert found == prepared(tokenizer, rows)


def test_the_others_do_not_wait_for_one_that_is_cancelled(tmp_path):
    waited = []

    def cancelled(done, total):
        raise Cancelled

    cache = cache_in(tmp_path, barrier=lambda: waited.append(True))
    with pytest.raises(Cancelled):
        prepared(byte_level(), sft_rows(4), cache=cache, advance=cancelled)
    assert waited == [True]
    assert files(tmp_path) == []


def test_rows_of_several_chunks_report_progress_and_are_the_same(monkeypatch):
    from training.engine.data import tokenization

    tokenizer, rows = byte_level(), dpo_rows(11)
    rows[9]["chosen"] = assistant("a <|im_end|> b")
    expected = prepared(tokenizer, rows, "dpo")
    monkeypatch.setattr(tokenization, "CHUNK", 3)
    seen = []
    assert prepared(tokenizer, rows, "dpo", advance=lambda done, total: seen.append((done, total))) == expected
    assert seen == [(0, 11), (3, 11), (6, 11), (9, 11), (11, 11)]
    assert expected[1].listed["control_text"] == [10]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", ["chats", "texts"])
def test_chunks_side_by_side_do_not_disturb_each_other(monkeypatch, kind, shape):
    """A text with typed control tokens is encoded with other settings of the tokenizer."""
    from training.engine.data import tokenization

    tokenizer, rows = KINDS[kind](), dpo_rows(300)
    for number, row in enumerate(rows):
        if number % 3 == 0:
            row["chosen"] = assistant(f"good {number} </s> <|im_end|> day")
        if shape == "texts":
            row |= {name: row[name][0]["content"] + "\n" for name in ("prompt", "chosen", "rejected")}
    monkeypatch.setattr(tokenization, "CHUNKS_AT_ONCE", 1)
    alone = prepared(tokenizer, rows, "dpo")
    monkeypatch.setattr(tokenization, "CHUNK", 7)
    monkeypatch.setattr(tokenization, "CHUNKS_AT_ONCE", 4)
    assert prepared(tokenizer, rows, "dpo") == alone
    assert alone[1].control_text >= 100


def test_the_first_error_of_the_rows_is_the_one_that_is_raised(monkeypatch):
    from training.engine.data import tokenization

    monkeypatch.setattr(tokenization, "CHUNK", 2)
    rows = sft_rows(12)
    rows[5]["tools"] = rows[9]["tools"] = "[{"
    with pytest.raises(DatasetError, match="Row 6: tools is not JSON"):
        prepared(byte_level(), rows)


def test_runs_share_a_folder_and_say_what_they_are_doing(tiny, tmp_path, monkeypatch):
    from training.engine.data import tokenization

    monkeypatch.setattr(tokenization, "CHUNK", 4)
    folder = tmp_path / "tokens"
    for name in ("a", "b"):
        config = training("train_sft", tiny, max_steps=1, token_cache=str(folder))
        directory = make_run(tmp_path / name, config, sft_rows(10))
        assert run_here("train_sft", directory) == 0, directory.read_result()
    assert len(files(folder)) == 1
    first, second = (
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()] for name in "ab"
    )
    assert [line["done"] for line in first if line.get("stage") == "tokens"] == [4, 8]
    assert not [line for line in second if line.get("stage") == "tokens"]
