"""The model card: what is known is in it, what is not known is marked as unknown."""

import json
from pathlib import Path

import pytest
import yaml

from tests.engine.conftest import dpo_rows, make_run, run_here, training
from training.contract import lineage
from training.contract.config import LoraSettings, ModelSource, TrainingConfig
from training.engine.artifacts import model_card

MANIFEST = {
    "konomi_dataset": 1,
    "sha256": "ab" * 32,
    "project": {
        "id": 3,
        "slug": "hotel",
        "name": "Hotel | replies",
        "goal": "persona",
        "source_language": "en",
        "target_language": "ja",
    },
    "selection": {"purpose": "dpo", "format": "conversational", "batches": None, "kinds": ["choosing", "postediting"]},
    "rows": {"train": 30, "held_out": 4, "by_kind": {"choosing": 28, "postediting": 6}},
    "left_out": {"tie": 2},
    "annotations": {"count": 41, "by_kind": {"choosing": 35, "postediting": 6}, "annotators": 3},
    "guideline_versions": [2, 3],
    "weight_versions": [],
    "agreement": {"choosing": {"observed_pairwise": 0.8125, "pairs": 16}},
    "code_version": "0.1.0+abc",
}
CHAIN = ModelSource(base="/models/base", adapters=("/runs/1/model",))


def configuration(**changes) -> TrainingConfig:
    given = {"program": "train_dpo", "run_id": "run 7", "model": CHAIN, "dataset_sha256": "ab" * 32}
    return TrainingConfig(**{**given, **changes})


def card_of(config, manifest=MANIFEST, **changes):
    named = lineage.named(config.model)
    written = {
        "base": named.base,
        "base_sha256": "cd" * 32,
        "adapters": list(named.adapters),
        "adapters_sha256": [""] * len(named.adapters),
    }
    given = {
        "lineage": written,
        "adapter": config.lora is not None,
        "metrics": {"loss": 0.51234567},
        "counts": {"used": 30},
    }
    return model_card.model_card(config, manifest=manifest, **{**given, **changes})


def front_of(card):
    _, front, body = card.split("---\n", 2)
    return yaml.safe_load(front), body


@pytest.mark.engine
def test_a_run_explains_itself(tiny, tmp_path):
    """What a run leaves in model/README.md, read as a hub and a person read it."""
    from huggingface_hub import ModelCard

    config = training("train_dpo", tiny, max_steps=2, dataset_sha256=MANIFEST["sha256"], run_id="run 7")
    directory = make_run(tmp_path / "7", config, dpo_rows(8))
    (directory.dataset / "manifest.json").write_text(json.dumps(MANIFEST))
    assert run_here("train_dpo", directory) == 0, directory.read_result()
    card = ModelCard.load(directory.model / "README.md")
    assert card.data.library_name == "peft"
    assert card.data.base_model == Path(tiny.base).name
    assert card.data.to_dict()["base_model_relation"] == "adapter"
    assert (card.data.pipeline_tag, card.data.language) == ("text-generation", ["en", "ja"])
    for words in (
        "run 7",
        MANIFEST["sha256"],
        "2, 3",
        "| choosing | 35 | 28 | 81.2% of 16 pairs |",
        "3 people",
        "rows: used",
        f"`{Path(tiny.base).name}`, weights sha256 `",
        '"seed": 17',
        "| torch |",
        "| first loss | 0.69315 |",
    ):
        assert words.replace("rows: ", "") in card.text, words


def test_what_is_known_stands_in_the_card():
    front, body = front_of(card_of(configuration()))
    assert front == {
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "base_model": "base",
        "base_model_relation": "adapter",
        "language": ["en", "ja"],
        "tags": ["konomi", "train_dpo", "lora"],
    }
    assert f"1. `base`, weights sha256 `{'cd' * 32}`\n2. `model`\n3. this adapter (LoRA)" in body
    assert "| postediting | 6 | 6 | unknown: no two people |" in body
    assert "Made for the project “Hotel \\| replies”: replies of the project's persona, asked in `en`, in `ja`." in body
    assert "on 41 annotations that became 30 training rows" in body
    assert "| version of the aspects' weights | none |" in body
    assert "| tie | 2 |" in body
    assert "| batches | all |" in body
    assert "| loss | 0.51235 |" in body


def test_what_nobody_told_is_unknown():
    front, body = front_of(card_of(configuration(dataset_sha256=""), manifest=None))
    assert "language" not in front
    assert "license" not in front
    for words in (
        "| sha256 | not given |",
        "| annotators | unknown |",
        "| guideline version | unknown |",
        "Languages: unknown",
        "How many people's judgement it follows is unknown",
        "where its rows are from is unknown",
        "a project that its dataset does not name",
    ):
        assert words in body
    lonely = {**MANIFEST, "agreement": {}, "annotations": {**MANIFEST["annotations"], "annotators": 1}}
    body = card_of(configuration(), manifest=lonely)
    assert "the judgement of one person" in body
    assert "No label was given by two people" in body


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lora": None}, ["the full weights here", '"finetune"', "| method | all weights |", '"transformers"']),
        ({"lora": LoraSettings(dora=True, quantization="4bit")}, ["| method | QDoRA |", "The base was held in 4 bits"]),
        ({"share": 0.25}, ["Trained on 25% of the prompts only"]),
        ({"soft_labels": False, "ties": "drop"}, ["majority counts for certain", "| ties | dropped |"]),
        ({"program": "train_kto", "undesirable_weight": 2.0}, ["| weights of good and bad | balanced, 2 |"]),
        ({"program": "pretrain", "model": ModelSource(base=""), "lora": None}, ["(random weights)", "Not evaluated."]),
    ],
)
def test_the_card_follows_the_configuration(changes, words):
    card = card_of(configuration(**changes))
    front_of(card)
    for word in words:
        assert word in card


def test_hostile_names_stay_in_their_place():
    project = {**MANIFEST["project"], "name": 'x"\n---\nlicense: mit\n# Y', "target_language": 'ja"]\nlicense: mit'}
    config = configuration(model=ModelSource(base='/models/"x"\nlicense: mit'))
    front, body = front_of(card_of(config, manifest={**MANIFEST, "project": project}))
    assert front["base_model"] == '"x"\nlicense: mit'
    assert front["language"][1] == project["target_language"]
    assert "license" not in front
    assert "\n# Y" not in body
