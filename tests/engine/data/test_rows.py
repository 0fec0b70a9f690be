"""Rows to tokens: equal to TRL's, and every fault reported with its reason."""

import pytest

from tests.engine.conftest import assistant, dpo_rows, make_run, run_here, sft_rows, training, user
from training.contract.config import ModelSource
from training.contract.run_directory import RunDirectory

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def tokenizer(tiny):
    from training.engine.models import loading

    return loading.load_tokenizer(tiny)


def standard(rows: list[dict]) -> list[dict]:
    def flat(value):
        return value if not isinstance(value, list) else value[0]["content"]

    return [{key: flat(value) + "\n" if key == "prompt" else flat(value) for key, value in row.items()} for row in rows]


@pytest.mark.parametrize("shape", ["conversational", "standard"])
def test_trl_reads_the_parquet_unchanged_and_makes_the_same_tokens(tiny, tokenizer, tmp_path, shape):
    from datasets import load_dataset
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

    from training.engine.data.prepare import training_sequences
    from training.engine.models import loading

    plain = {"report_to": "none", "bf16": False, "use_cpu": True, "max_length": 100, "output_dir": str(tmp_path)}
    for purpose, rows in (("sft", sft_rows(6)), ("dpo", dpo_rows(6))):
        rows = standard(rows) if shape == "standard" else rows
        directory = make_run(tmp_path / purpose, training("train_sft", tiny), rows)
        loaded = load_dataset(
            "parquet", data_files=str(directory.dataset / "train.parquet"), split="train", cache_dir=str(tmp_path / "c")
        )
        ours, counts = training_sequences(
            rows, tokenizer, purpose=purpose, max_length=100, stop_ids={tokenizer.eos_token_id}, where="rows"
        )
        assert counts.used == 6
        model = loading.load_model(tiny)
        if purpose == "sft":
            trainer = SFTTrainer(model, SFTConfig(**plain), train_dataset=loaded, processing_class=tokenizer)
            theirs = [(row["input_ids"], row["labels"]) for row in trainer.train_dataset]
            assert theirs == [
                (s.prompt_ids + s.completion_ids[0], [-100] * len(s.prompt_ids) + s.completion_ids[0]) for s in ours
            ]
        else:
            dpo = DPOTrainer(
                model,
                args=DPOConfig(**plain),
                train_dataset=loaded,
                processing_class=tokenizer,
                ref_model=loading.load_model(tiny),
            )
            theirs = [(row["prompt_ids"], row["chosen_ids"], row["rejected_ids"]) for row in dpo.train_dataset]
            assert theirs == [(s.prompt_ids, *s.completion_ids) for s in ours]


def long(rows):
    return [{**row, "prompt": user("pool " * 200)} for row in rows]


def without(rows, column):
    return [{key: value for key, value in row.items() if key != column} for row in rows]


@pytest.mark.parametrize(
    ("program", "rows", "words"),
    [
        ("train_sft", None, "does not exist"),
        ("train_sft", [], "no rows"),
        ("train_sft", dpo_rows(3), "lacks the column completion"),
        ("train_dpo", sft_rows(3), "lacks the column chosen, rejected"),
        ("train_sft", [{**row, "label": True} for row in sft_rows(3)], "KTO dataset"),
        (
            "train_sft",
            [*sft_rows(2), {**sft_rows(1)[0], "completion": None}],
            "1 row has an empty completion.* row 3",
        ),
        ("train_dpo", [{**row, "tie": True} for row in dpo_rows(3)], "No preference to learn in 3 rows: 3 ties"),
        ("train_dpo", [{**row, "rejected": row["chosen"]} for row in dpo_rows(3)], "3 pairs of equal texts"),
        ("train_sft", long(sft_rows(3)), "All 3 rows would be left out.*max_length=128"),
        ("train_sft", [{**row, "prompt": [{"role": "user", "content": "x"}]} for row in standard(sft_rows(3))], "both"),
    ],
)
def test_a_bad_dataset_fails_with_the_reason(tiny, tmp_path, program, rows, words):
    import pyarrow as pa
    import pyarrow.parquet as pq

    directory = make_run(tmp_path, training(program, tiny), rows or None)
    if rows == []:
        directory.dataset.mkdir()
        table = pa.table({"prompt": pa.array([], pa.string()), "completion": pa.array([], pa.string())})
        pq.write_table(table, directory.dataset / "train.parquet")
    assert run_here(program, directory) == 1
    result = directory.read_result()
    assert result["status"] == "failed"
    import re

    assert re.search(words, result["error"]), result["error"]
    assert not directory.model.exists()


def test_a_truncated_parquet_file_is_named(tiny, tmp_path):
    directory = make_run(tmp_path, training("train_sft", tiny), sft_rows(3))
    path = directory.dataset / "train.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    assert run_here("train_sft", directory) == 1
    assert "not a readable Parquet file" in directory.read_result()["error"]


def test_rows_that_training_cannot_use_are_counted(tokenizer):
    from training.engine.data.prepare import training_sequences

    rows = [*dpo_rows(5), {**dpo_rows(1)[0], "tie": True}, *long(dpo_rows(1))]
    rows.append({**dpo_rows(1)[0], "chosen": assistant("garden " * 200)})
    kept, counts = training_sequences(
        rows, tokenizer, purpose="dpo", max_length=128, stop_ids={tokenizer.eos_token_id}, where="rows"
    )
    assert counts.as_dict() == {
        "rows": 8,
        "used": 6,
        "truncated": 1,
        "dropped_too_long": 1,
        "dropped_ties": 1,
        "dropped_equal": 0,
        "dropped_equal_tokens": 0,
        "dropped_equal_when_cut": 0,
        "dropped_prefix_mismatch": 0,
        "control_text": 0,
        "reasoning_left_out": 0,
    }
    assert [item.row for item in kept] == [0, 1, 2, 3, 4, 7]
    assert max(len(item.prompt_ids) + max(map(len, item.completion_ids)) for item in kept) == 128


def template(tokenizer, text):
    import copy

    changed = copy.deepcopy(tokenizer)
    changed.chat_template = text
    return changed


def test_templates_that_would_spoil_a_training_are_refused(tokenizer):
    from training.contract.errors import DatasetError
    from training.engine.data.prepare import training_sequences

    def prepare(changed, frozen=None):
        training_sequences(
            frozen or sft_rows(4), changed, purpose="sft", max_length=100, stop_ids={changed.eos_token_id}, where="rows"
        )

    loop = "{% for m in messages %}<|user|>{{ m['content'] }}{% endfor %}"
    with pytest.raises(DatasetError, match="4 of 4 completions hold no stop token"):
        prepare(template(tokenizer, loop))
    with pytest.raises(DatasetError, match="twice"):
        prepare(
            template(
                tokenizer, "{{ bos_token }}{{ bos_token }}" + loop + "{{ '' if add_generation_prompt else eos_token }}"
            )
        )
    with pytest.raises(DatasetError, match="not a token prefix"):
        prepare(
            template(tokenizer, "{{ messages | length }}" + loop + "{{ '' if add_generation_prompt else eos_token }}")
        )
    with pytest.raises(DatasetError, match="end prompts with a line break"):
        prepare(tokenizer, [{"prompt": "thank yo", "completion": "u for your words"}] * 4)
    with pytest.raises(DatasetError, match="does not accept these messages"):
        prepare(template(tokenizer, "{{ raise_exception('no') }}"))


def test_a_model_folder_must_hold_safetensors_and_a_fitting_tokenizer(tiny, tmp_path):
    import shutil

    from training.contract.errors import ModelError
    from training.engine.models import loading

    with pytest.raises(ModelError, match="does not exist"):
        loading.load_model(ModelSource(base=str(tmp_path / "none")))
    with pytest.raises(ModelError, match=r"no adapter_model\.safetensors|no adapter_config\.json"):
        loading.load_model(ModelSource(base=tiny.base, adapters=(tiny.base,)))
    pickled = tmp_path / "pickled"
    shutil.copytree(tiny.base, pickled)
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(ModelError, match="safetensors"):
        loading.load_model(ModelSource(base=str(pickled)))
    broken = tmp_path / "broken"
    shutil.copytree(tiny.base, broken)
    (broken / "model.safetensors").write_bytes((broken / "model.safetensors").read_bytes()[:-100])
    with pytest.raises(ModelError, match="cannot be loaded"):
        loading.load_model(ModelSource(base=str(broken)))


def test_the_default_template_and_padding_token(real_data):
    from training.engine.models import loading

    source = ModelSource(base=str(real_data / "models" / "stories260K-hf"))
    tokenizer = loading.load_tokenizer(source)
    assert tokenizer.pad_token_id not in (tokenizer.eos_token_id, None)
    turns = [*user("Hello"), *assistant(" Good day. ")]
    text = tokenizer.apply_chat_template(turns, tokenize=False)
    assert text == "<s>User:\nHello\nAssistant:\nGood day.</s>"
    assert (
        tokenizer.apply_chat_template(turns[:1], tokenize=False, add_generation_prompt=True)
        == text[: text.index("Good")]
    )


def test_a_run_directory_can_be_copied_and_run_elsewhere(tiny, tmp_path):
    import shutil

    first = make_run(tmp_path / "a", training("train_sft", tiny, max_steps=1), sft_rows(4))
    shutil.copytree(first.path, tmp_path / "b")
    assert run_here("train_sft", RunDirectory(tmp_path / "b")) == 0
