"""Published figures of public sets come out of our import, our source and our computation.

PandaLM's README: kappas 0.85, 0.88 and 0.86 of its three annotators. MLQE-PE: the interval alpha of its rows with three
scores, and professional post-edits with their HTER. MQM of TED talks, English to German: mean penalties of 14 systems.
"""

import csv
import json
import os
import re
import statistics
from collections import defaultdict
from pathlib import Path

import pytest
from django.core.management import call_command

from annotation.kinds import KINDS
from annotation.models import Annotation, Assignment, Candidate, Kind, Task, User
from annotation.quality.results import results_of
from annotation.quality.run import newest, pair_labels
from annotation.quality.source import material_of
from annotation.queue.batches import open_batch
from tests.factories import AspectFactory, ProjectFactory, UserFactory

pytestmark = pytest.mark.django_db
DATA = Path(os.environ.get("PREFERENCE_DATA", "../shared/data"))
SYSTEMS = {
    "ref": 0.91,
    "Facebook-AI": 1.06,
    "Online-W": 1.12,
    "VolcTrans-AT": 1.24,
    "metricsystem3": 1.44,
    "VolcTrans-GLAT": 1.49,
    "HuaweiTSC": 1.50,
    "metricsystem1": 1.63,
    "metricsystem2": 1.69,
    "metricsystem5": 1.72,
    "UEdin": 1.77,
    "metricsystem4": 1.78,
    "eTranslation": 1.97,
    "Nemo": 2.14,
}


def public(name):
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"PREFERENCE_DATA has no {name}")
    return path


def rows_of(name):
    with public(name).open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def written(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_kappas_and_alpha_of_pandalm(tmp_path, capsys):
    """Every row is a prompt of its own, and a response that is empty or no text says so: the figures are of all 999."""
    rows = []
    for row in rows_of("pandalm_testset_v1.jsonl"):
        kept = {f"annotator{n}": row[f"annotator{n}"] for n in (1, 2, 3)}
        for name in ("response1", "response2"):
            text = row[name] if isinstance(row[name], str) else str(row[name])
            kept[name] = text if text.strip() else f"({name} is empty)"
        rows.append({"prompt": f"{row['idx']}. {row['instruction']}\n\n{row['input']}", **kept})
    project = ProjectFactory(slug="pandalm", held_out_share=0)
    people = [option for n in (1, 2, 3) for option in ("--worker-column", f"annotator{n}")]
    texts = ["--candidate", "response1=import:one", "--candidate", "response2=import:two"]
    meanings = ["--answer", "0=tie", "--answer", "1=one", "--answer", "2=two"]
    call_command("import_judgements", "pandalm", written(tmp_path / "p.jsonl", rows), *people, *texts, *meanings)
    call_command("analyse", "pandalm")
    result = newest(project).result
    assert result["answers"] == 3 * 999
    (agreement,) = result["agreement"]
    assert agreement["alpha"]["value"] == pytest.approx(0.8642, abs=5e-5)
    assert agreement["alpha"]["low"] < 0.8642 < agreement["alpha"]["high"]
    names = dict(User.objects.values_list("pk", "name"))
    kappas = {
        tuple(sorted((names[row["one"]], names[row["other"]]))): row["coefficient"]["value"] for row in result["pairs"]
    }
    # Which text is called the first is the publisher's order there and the texts' order here: the shares of the
    # classes, and so what chance agrees on, differ in the fourth digit.
    published = {"12": 0.85, "13": 0.88, "23": 0.86}
    assert {one[-1] + other[-1]: round(kappa, 2) for (one, other), kappa in kappas.items()} == published
    assert sorted(kappas.values()) == pytest.approx([0.8520, 0.8617, 0.8789], abs=2e-4)
    assert result["position"]["undefined"] == "sides not drawn at random"
    votes = [max(row["votes"]) for row in pair_votes(project)]
    assert len(votes) == 999


def pair_votes(project):
    labels = pair_labels(project)
    return [labels.of(*key) for key in labels.row]


def test_alpha_of_mlqe_pe(tmp_path, capsys):
    rows = [row for row in rows_of("mlqe_pe_ende.jsonl") if len(row["da_scores"]) == 3]
    project = ProjectFactory(slug="mlqe", held_out_share=0, target_language="de")
    kept = [{"source": row["source"], "mt": row["mt"], "da_scores": row["da_scores"]} for row in rows]
    options = ["--worker", "da", "--scale", "da_scores=0..100"]
    call_command("import_judgements", "mlqe", written(tmp_path / "mlqe.jsonl", kept), *options)
    (row,) = results_of(material_of(project))["agreement"]
    assert row["alpha"]["n"] == len(rows) == 6407
    assert row["alpha"]["value"] == pytest.approx(0.4239, abs=5e-5)


def test_hter_of_mlqe_pe(tmp_path, capsys):
    """Of 600 professional post-edits: the rate of each correlates with the published one, and their mean is theirs."""
    rows = rows_of("mlqe_pe_ende.jsonl")[:600]
    project = ProjectFactory(slug="mlqe", held_out_share=0, target_language="de")
    kept = [{"source": row["source_tok"], "mt": row["mt_tok"], "external_id": row["id"]} for row in rows]
    call_command("import_prompts", "mlqe", written(tmp_path / "mlqe.jsonl", kept), "--candidate", "mt=import:mt")
    batch = open_batch(project=project, kind=Kind.POSTEDITING, name="Post-edits", overlap=1, actor=None, seed=1)
    by_id = {row["id"]: row for row in rows}
    tasks = Task.objects.filter(batch=batch).select_related("prompt")
    answered = {}
    for task in tasks:
        row = by_id[task.prompt.external_id]
        answer = {"candidate": task.candidate_ids[0], "text": row["post_edit_tok"], "unchanged": row["hter"] == 0}
        answered[task] = (answer, "editor")
    answer_all(Kind.POSTEDITING, answered)
    material = material_of(project)
    published = {prompt: by_id[key]["hter"] for prompt, key in tasks.values_list("prompt", "prompt__external_id")}
    rates = material.edits.value.tolist()
    assert len(rates) == 600
    expected = [published[prompt] for prompt in material.edits.prompt.tolist()]
    assert statistics.correlation(rates, expected) > 0.97
    (row,) = results_of(material)["edits"]
    assert row["mean"]["value"] == pytest.approx(statistics.fmean(expected), abs=0.01)


def test_system_scores_of_mqm(tmp_path, capsys):
    """All 14 systems in 529 segments each: marks of errors in the answers of the four raters."""
    with public("mqm_ted_ende.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    marks, texts, raters = defaultdict(list), defaultdict(dict), {}
    for row in rows:
        key = row["doc"], row["seg_id"]
        text = re.sub("</?v>", "", row["target"])
        texts[key] |= {"text": re.sub("</?v>", "", row["source"]), row["system"]: text}
        raters[key, row["system"]] = row["rater"]
        if row["severity"] != "No-error":
            # What is missing in the target is marked in the source: its place in the target is the start.
            start = max(row["target"].find("<v>"), 0)
            end = row["target"].find("</v>") - len("<v>")
            span = {"start": start, "end": max(end, start + 1)}
            span |= {"category": row["category"], "severity": row["severity"].lower()}
            marks[key, row["system"]].append(span)
    project = ProjectFactory(slug="ted", held_out_share=0, target_language="de")
    AspectFactory(project=project, key="quality")
    prompts = [{"external_id": "/".join(key), **systems} for key, systems in texts.items()]
    columns = [option for system in SYSTEMS for option in ("--candidate", f"{system}=import:{system}")]
    call_command("import_prompts", "ted", written(tmp_path / "ted.jsonl", prompts), *columns)
    # Systems often say the same, and were marked one by one: a batch for each.
    options = {"kind": Kind.SCORING, "overlap": 1, "actor": None, "seed": 1}
    batches = [open_batch(project=project, name=name, origins=[f"import:{name}"], **options) for name in SYSTEMS]
    known = {
        pk: (prompt, origin)
        for pk, prompt, origin in Candidate.objects.values_list("pk", "prompt__external_id", "origin")
    }
    answered = {}
    for task in Task.objects.filter(batch__in=batches):
        (candidate,) = task.candidate_ids
        prompt, origin = known[candidate]
        key = tuple(prompt.split("/")), origin.removeprefix("import:")
        answer = {"scores": {str(candidate): {"quality": 3}}, "comment": "", "spans": {str(candidate): marks[key]}}
        answered[task] = (answer, raters[key])
    answer_all(Kind.SCORING, answered)
    result = results_of(material_of(project))
    found = {row["origin"].removeprefix("import:"): row["mean"] for row in result["marks"]}
    assert {system: round(row["value"], 2) for system, row in found.items()} == SYSTEMS
    assert {row["n"] for row in found.values()} == {529}


def answer_all(kind, answered):
    """Answers (payload, person's name) by task, as they are stored."""
    people = {name: UserFactory(name=name) for name in sorted({name for _answer, name in answered.values()})}
    slots = {slot.task_id: slot for slot in Assignment.objects.filter(task__in=answered)}
    for task, (_answer, name) in answered.items():
        slot = slots[task.pk]
        slot.state, slot.annotator = Assignment.State.DONE, people[name]
    Assignment.objects.bulk_update(slots.values(), ["state", "annotator"], batch_size=2_000)
    Annotation.objects.bulk_create(
        Annotation(
            assignment=slots[task.pk],
            task=task,
            annotator=people[name],
            kind=kind,
            payload=KINDS[kind].parse(answer).to_json(),
        )
        for task, (answer, name) in answered.items()
    )
