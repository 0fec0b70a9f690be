"""No page and no download names a folder of the machine that it was made on."""

import json
from dataclasses import asdict

import pytest
from django.test import Client
from django.urls import reverse

from annotation.members.accounts import BACKEND
from annotation.models import Role
from tests.walks import every_page
from training.contract.config import ModelSource, TrainingConfig
from training.models import Checkpoint, Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(own_var):
    """Everything, with a run from a base model and one from its checkpoint, as the site makes them."""
    world = every_page.everything()
    base = own_var / "models" / "publisher" / "base"
    base.mkdir(parents=True)
    (base / "config.json").write_text("{}")
    (base / "model.safetensors").write_bytes(b"weights")
    checkpoint = Checkpoint.objects.get()
    later = Run.objects.create(
        project=world.project, trainer="dpo", parent=checkpoint, dataset=checkpoint.dataset, status="succeeded"
    )
    Checkpoint.objects.create(
        project=world.project,
        run=later,
        parent=checkpoint,
        dataset=checkpoint.dataset,
        base_model=str(base),
        form="adapter",
        path=f"runs/{later.pk}/model",
        sha256="1" * 64,
    )
    for run, adapters in ((checkpoint.run, ()), (later, (str(own_var / "runs" / "1" / "model"),))):
        run.config = asdict(
            TrainingConfig(
                program=f"train_{run.trainer}",
                run_id=str(run.pk),
                model=ModelSource(base=str(base), adapters=adapters),
                dataset_sha256="2" * 64,
                reference_cache=str(own_var / "cache" / "reference"),
                token_cache=str(own_var / "cache" / "tokens"),
                processes=2,
                accelerate_config=str(own_var / "fsdp.yaml"),
            )
        )
        run.error = f"{base}/model.safetensors lacks 3 tensors; add roots below {own_var}"
        run.directory.path.mkdir(parents=True, exist_ok=True)
        run.directory.log_path.write_text(f"loading {base}\n")
        run.base_model = "" if adapters else str(base)
        run.save()
    Checkpoint.objects.filter(pk=checkpoint.pk).update(base_model=str(base))
    return world


def test_pages_of_training_name_models_and_not_their_folders(world, own_var):
    client = Client()
    client.force_login(world.people[Role.MANAGER], backend=BACKEND)
    runs = list(Run.objects.values_list("pk", flat=True))
    more = [reverse("run", args=[pk]) for pk in runs]
    more += [reverse("checkpoint", args=[pk]) for pk in Checkpoint.objects.values_list("pk", flat=True)]
    more += [reverse("run_metrics", args=[pk]) + "?lines=9" for pk in runs]
    more.append(reverse("runs_compare", args=[world.project.slug]) + f"?run={runs[0]}&run={runs[1]}")
    found, named = [], 0
    for name, address in [*world.pages(), *((address, address) for address in more)]:
        text = client.get(address).content.decode()
        named += "publisher/base" in text
        found += [f"{name}: {text[at - 80 : at + 80]}" for at in [text.find(str(own_var))] if at >= 0]
    assert not found, "\n".join(found)
    assert named >= 4, "the model is there, by its name"


def test_errors_logs_and_commands_name_folders_as_people_know_them(world, own_var):
    client = Client()
    client.force_login(world.people[Role.MANAGER], backend=BACKEND)
    page = client.get(reverse("run", args=[Run.objects.filter(parent=None).latest("id").pk])).content.decode()
    assert f"publisher/base/model.safetensors lacks 3 tensors; add roots below {own_var.name}" in page
    assert "loading publisher/base" in page
    assert "--accelerate-config fsdp.yaml" in page


def test_downloads_of_a_dataset_hold_no_folder_of_this_machine(world, own_var):
    client = Client()
    client.force_login(world.people[Role.MANAGER], backend=BACKEND)
    dataset = world.values["dataset_id"]
    page = client.get(reverse("dataset", args=[dataset])).content.decode()
    names = [name for name in ("manifest.json", "train.jsonl", "train.parquet", "held_out.jsonl") if f"/{name}" in page]
    assert {"manifest.json", "train.jsonl"} <= set(names)
    for name in names:
        content = b"".join(client.get(reverse("dataset_file", args=[dataset, name])).streaming_content)
        assert str(own_var).encode() not in content
    manifest = json.loads(
        b"".join(client.get(reverse("dataset_file", args=[dataset, "manifest.json"])).streaming_content)
    )
    assert manifest["project"]["name"] == world.project.name
