"""Merging through the program and the command: a small Mistral in several shards, with a byte-fallback tokenizer."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from django.core.management import CommandError, call_command

from tests.engine.conftest import ROOT, chat, dpo_rows, make_run, run_here, sft_rows, training
from training.contract.config import LoraSettings, ModelSource
from training.engine import merge

pytestmark = pytest.mark.engine

JAPANESE = "お部屋はとても静かでした。ありがとう 😀"


def byte_fallback_tokenizer():
    """As Llama's and Mistral's: sentencepiece's blank, and bytes for whatever has no piece."""
    from tokenizers import Tokenizer, decoders, models, normalizers, trainers
    from transformers import PreTrainedTokenizerFast

    blank = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    learner = Tokenizer(models.BPE())
    learner.normalizer = blank
    texts = [text for number in range(30) for text in chat(number)]
    learner.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=120, show_progress=False))
    learned = json.loads(learner.to_str())["model"]
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *learned["vocab"]]
    merges = [tuple(pair) for pair in learned["merges"]]
    tokenizer = Tokenizer(
        models.BPE(
            vocab={piece: number for number, piece in enumerate(pieces)},
            merges=merges,
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    tokenizer.normalizer = blank
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>")


@pytest.fixture(scope="module")
def mistral(tmp_path_factory) -> ModelSource:
    import torch
    from transformers import MistralConfig, MistralForCausalLM

    folder = tmp_path_factory.mktemp("mistral")
    tokenizer = byte_fallback_tokenizer()
    config = MistralConfig(
        vocab_size=len(tokenizer),
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        sliding_window=192,
        bos_token_id=1,
        eos_token_id=2,
        dtype=torch.bfloat16,
    )
    torch.manual_seed(5)
    model = MistralForCausalLM(config).to(torch.bfloat16)
    model.save_pretrained(folder, max_shard_size="60KB")
    tokenizer.save_pretrained(folder)
    settings = json.loads((folder / "generation_config.json").read_text())
    settings |= {"do_sample": False, "temperature": 0.7}  # contradictory: published models have that
    (folder / "generation_config.json").write_text(json.dumps(settings))
    assert len(list(folder.glob("*.safetensors"))) > 2
    return ModelSource(base=str(folder))


@pytest.fixture(scope="module")
def lineage(mistral, tmp_path_factory) -> ModelSource:
    """SFT on the base, then DPO on that, as the engine leaves them."""
    root = tmp_path_factory.mktemp("runs")
    adapters: tuple[str, ...] = ()
    for program, rows in (("train_sft", sft_rows(12)), ("train_dpo", dpo_rows(12))):
        source = ModelSource(base=mistral.base, adapters=adapters)
        config = training(program, source, max_steps=3, lora=LoraSettings(r=4, alpha=8), run_id=program)
        directory = make_run(root / program, config, rows)
        assert run_here(program, directory) == 0, directory.read_result()
        adapters = (*adapters, str(directory.model))
    return ModelSource(base=mistral.base, adapters=adapters)


def plain(folder, text=JAPANESE):
    """Logits of the folder, loaded as anybody would."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ids = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt").input_ids
    with torch.inference_mode():
        return model(ids).logits


def live(source, text=JAPANESE):
    """Logits of the chain with its adapters as they are: summed up by PEFT, none of them merged."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(source.base, dtype=torch.float32)
    model = PeftModel.from_pretrained(model, source.adapters[0], adapter_name="a")
    names = ["a"]
    for number, adapter in enumerate(source.adapters[1:]):
        names.append(f"b{number}")
        model.load_adapter(adapter, adapter_name=names[-1])
    model.base_model.set_adapter(names)
    ids = AutoTokenizer.from_pretrained(source.base)(text, return_tensors="pt").input_ids
    with torch.inference_mode():
        return model.eval()(ids).logits


def arguments_of(source, to, *more):
    adapters = [word for adapter in source.adapters for word in ("--adapter", adapter)]
    return ["--base", source.base, *adapters, "--to", str(to), *more]


def run_merge(capsys, *arguments):
    """The program in this process: its exit code, and what it says of the outcome."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        code = merge.main([str(word) for word in arguments])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code, json.loads(capsys.readouterr().out.splitlines()[-1])


def leftovers(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != "var")


def test_the_whole_lineage_becomes_one_model_of_several_shards(lineage, tmp_path, capsys):
    from transformers import AutoTokenizer

    to, dataset = tmp_path / "merged", Path(lineage.adapters[1]).parent / "dataset"
    code, outcome = run_merge(
        capsys, *arguments_of(lineage, to, "--dtype", "fp32", "--shard-size", "100KB", "--dataset", dataset)
    )
    assert code == 0, outcome
    assert outcome["largest_difference"] < 1e-4
    assert outcome["largest_difference_as_written"] < 1e-6
    assert outcome["compared"] == "4 texts of the dataset of train_dpo"
    assert outcome["shards"] == len(list(to.glob("*.safetensors"))) > 2
    assert leftovers(tmp_path) == ["merged"]
    merged, before = plain(to), live(lineage)
    assert (merged - before).abs().max() < 1e-4
    assert (merged - plain(lineage.base)).abs().max() > 1e-2  # and it is not the base
    old, new = AutoTokenizer.from_pretrained(lineage.base), AutoTokenizer.from_pretrained(to)
    assert new(JAPANESE).input_ids == old(JAPANESE).input_ids
    assert new.decode(new(JAPANESE).input_ids, skip_special_tokens=True) == JAPANESE
    assert new.chat_template
    assert "generation_config.json" in leftovers(to)
    written = json.loads((to / "lineage.json").read_text())
    assert (written["this"], written["base"], written["adapters"]) == (
        "full",
        Path(lineage.base).name,
        ["train_sft", "train_dpo"],
    )
    assert [link["run_id"] for link in written["merged"]["adapters"]] == ["train_sft", "train_dpo"]
    front, card = (to / "README.md").read_text().split("---\n")[1:3]
    assert yaml.safe_load(front) == {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "base_model": Path(lineage.base).name,
        "base_model_relation": "finetune",
        "tags": ["konomi", "merged"],
    }
    assert "3. `train_dpo`: train_dpo (train_dpo), dataset `unknown`, weights sha256 `" in card
    from training.engine.models.loading import chain_of

    assert chain_of(to) == ModelSource(base=str(to))


def test_rounding_is_reported_separately_and_the_stored_type_of_the_base_is_kept(lineage, tmp_path, capsys):
    from safetensors import safe_open

    code, outcome = run_merge(capsys, *arguments_of(lineage, tmp_path / "merged"))
    assert (code, outcome["dtype"]) == (0, "bf16"), outcome
    assert outcome["compared"].endswith("tokens from all over the vocabulary")
    assert outcome["largest_difference"] < 1e-4 < outcome["largest_difference_as_written"]
    with safe_open(next((tmp_path / "merged").glob("*.safetensors")), framework="pt") as opened:
        assert opened.get_slice(next(iter(opened.keys()))).get_dtype() == "BF16"


def test_dora_merges_on_the_weights_below_it(lineage, tmp_path, capsys):
    """Its norms are those of base and SFT together: a merge in one go would be wrong."""
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model

    from training.engine.models.loading import load_model, load_tokenizer

    base = load_model(ModelSource(base=lineage.base, adapters=lineage.adapters[:1]))
    dora = get_peft_model(base, LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", use_dora=True))
    torch.manual_seed(1)
    for name, weight in dora.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    dora.save_pretrained(tmp_path / "dora")
    source = ModelSource(base=lineage.base, adapters=(lineage.adapters[0], str(tmp_path / "dora")))
    code, outcome = run_merge(capsys, *arguments_of(source, tmp_path / "merged", "--dtype", "fp32"))
    assert code == 0, outcome
    assert outcome["largest_difference"] < 1e-4
    live_base = load_model(ModelSource(base=lineage.base, adapters=lineage.adapters[:1]))
    ids = load_tokenizer(source)(JAPANESE, return_tensors="pt").input_ids
    with torch.inference_mode():
        before = PeftModel.from_pretrained(live_base, tmp_path / "dora").eval()(ids).logits
    assert (plain(tmp_path / "merged") - before).abs().max() < 1e-4


def test_logits_that_moved_too_far_are_not_written(lineage, tmp_path, capsys):
    code, outcome = run_merge(capsys, *arguments_of(lineage, tmp_path / "merged", "--tolerance", "1e-12"))
    assert code == 1
    assert "e-12: nothing was written" in outcome["error"]
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arguments, to: [*arguments[:2], "--to", to], "full weights"),
        (lambda arguments, to: [*arguments, "--dtype", "int3"], "--dtype is one of"),
        (lambda arguments, to: [*arguments, "--shard-size", "huge"], "--shard-size is a number"),
        (lambda arguments, to: ["--base", "/nowhere", *arguments[2:]], "'/nowhere' does not exist"),
        (lambda arguments, to: [*arguments, "--adapter", "/nowhere"], "'/nowhere' does not exist"),
    ],
)
def test_what_cannot_be_merged_is_refused(lineage, tmp_path, capsys, change, message):
    to = tmp_path / "merged"
    code, outcome = run_merge(capsys, *change(arguments_of(lineage, to), to))
    assert code == 1
    assert message in outcome["error"]
    assert leftovers(tmp_path) == []


def test_no_room_and_a_folder_that_is_there(lineage, tmp_path, capsys, monkeypatch):
    to = tmp_path / "merged"
    to.mkdir()
    assert "exists already" in run_merge(capsys, *arguments_of(lineage, to))[1]["error"]
    to.rmdir()
    usage = merge.shutil.disk_usage(tmp_path)._replace(free=1024)
    monkeypatch.setattr(merge.shutil, "disk_usage", lambda path: usage)
    assert "1.0 KiB left" in run_merge(capsys, *arguments_of(lineage, to))[1]["error"]
    monkeypatch.setattr(merge.hardware, "available_ram", lambda: 1000)
    assert "of memory (4 bytes for each" in run_merge(capsys, *arguments_of(lineage, to))[1]["error"]
    assert leftovers(tmp_path) == []


def test_an_interrupted_merge_leaves_nothing(lineage, tmp_path):
    (tmp_path / ".merged.partial-999999999").mkdir()  # of one that was killed
    engine = subprocess.Popen(
        [sys.executable, "-m", "training.engine.merge", *arguments_of(lineage, tmp_path / "merged")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 300
    while not list(tmp_path.glob(f".merged.partial-{engine.pid}")):
        assert time.monotonic() < until
        assert engine.poll() is None
        time.sleep(0.005)
    engine.send_signal(signal.SIGINT)
    output = engine.communicate(timeout=300)[0]
    assert (engine.returncode, json.loads(output)["status"]) == (130, "cancelled")
    assert leftovers(tmp_path) == []


@pytest.mark.django_db(transaction=True)
def test_the_command_merges_a_checkpoint_into_a_model_that_runs_may_start_from(lineage, own_var, capfd):
    from tests.factories import ProjectFactory
    from training.engine_jobs import model_folders
    from training.models import Checkpoint, Run

    loading = own_var / "models"
    (own_var / "runs").mkdir()
    loading.mkdir()
    shutil.copytree(lineage.base, loading / "base")
    project, parent = ProjectFactory(slug="hotel"), None
    for number, trainer in enumerate(("sft", "dpo"), 1):
        run = Run.objects.create(pk=number, project=project, trainer=trainer, parent=parent, status="succeeded")
        shutil.copytree(Path(lineage.adapters[number - 1]).parent, run.directory.path)
        parent = Checkpoint.objects.create(
            project=project,
            run=run,
            parent=parent,
            form="adapter",
            path=f"runs/{number}/model",
            sha256="0" * 64,
            base_model=str(loading / "base"),
        )
    call_command("merge", str(parent.pk), "--shard-size", "100KB")
    to = loading / f"hotel-checkpoint-{parent.pk}"
    captured = capfd.readouterr()
    assert f"merged into {to}" in captured.out
    assert f"--model {to.name}" in captured.out
    assert "logits differ by" in captured.err  # the engine's progress
    assert model_folders.source_of(to.name) == ModelSource(base=str(to))
    assert to.name in [folder.name for folder in model_folders.base_models()]
    with pytest.raises(CommandError, match="exists already"):
        call_command("merge", str(parent.pk))
    parent.form = "full"
    parent.save()
    with pytest.raises(CommandError, match="has full weights: there is nothing to merge"):
        call_command("merge", str(parent.pk))
