"""Do people's labels change a model? English to Japanese, formal or informal, through the product's own doors.

The 980 usable training sources of CoCoA-MT (Nadejde et al. 2022) come in with both translations as candidates. Three
simulated annotators sign in, are shown the pairs blind, and prefer the formal side with 5 % random error. The 594 test
sources are held out; an expert without error answers those. Then: freeze, SFT, DPO, evaluate, all by the commands
that a user types. The model is stories260K (260,032 parameters), so the outputs are not useful, but the training is
real.

    python -m tests.benchmarks.formality [--keep DIR]
"""

import argparse
import json
import random
import re
import tempfile
import threading
import time
from pathlib import Path

from tests.benchmarks.report import DATA, report
from tests.site import PASSWORD, Person, Site, running_site

PROJECT = "formality"
OVERLAP = 3
ERROR = 0.05
# Polite Japanese: desu/masu forms, honorific requests and verbs.
POLITE = re.compile(
    r"です|ます|ました|ません|ましょう|でしょう|ください|下さい|ございま|いたし|いただ|致し|頂|なさい|お願い|でした|おりま"
)
# So small a model trains faster on one thread than on two that wait for each other.
SFT = [
    "--full",
    "--threads",
    "1",
    "--epochs",
    "2",
    "--learning-rate",
    "2e-3",
    "--batch-size",
    "16",
    "--max-length",
    "512",
]
DPO = [
    "--full",
    "--threads",
    "1",
    "--epochs",
    "2",
    "--learning-rate",
    "8e-4",
    "--batch-size",
    "8",
    "--max-length",
    "512",
    "--beta",
    "0.3",
    "--losses",
    "sigmoid,sft",
    "--loss-weights",
    "1,1",
    "--warmup-ratio",
    "0.05",
]


def main() -> None:
    parser = argparse.ArgumentParser(description="Do people's labels change a model?")
    parser.add_argument("--keep", type=Path, help="work in this folder and keep it")
    arguments = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"no data at {DATA}: set PREFERENCE_DATA to its folder")
    with tempfile.TemporaryDirectory(prefix="konomi-formality-") as folder:
        var = (arguments.keep or Path(folder)) / "var"
        model = DATA / "models" / "stories260K-hf"
        with running_site(var, KONOMI_MODEL_ROOTS=str(model.parent), KONOMI_ENGINES="1") as site:
            run(site, var, model)


def run(site: Site, var: Path, model: Path) -> None:
    start = time.monotonic()
    sides = bring_in(site, var)
    import_s = time.monotonic() - start

    labelling = time.monotonic()
    submitted = label(site, sides)
    labelling_s = time.monotonic() - labelling

    training = time.monotonic()
    sft_data = number(site.manage("freeze_dataset", PROJECT, "--for", "sft", "--chosen-as-sft"), "dataset")
    dpo_data = number(site.manage("freeze_dataset", PROJECT, "--for", "dpo"), "dataset")
    print(f"frozen: datasets {sft_data} and {dpo_data}", flush=True)
    sft = number(site.manage("train_sft", sft_data, "--model", model, *SFT, "--no-evaluate"), "checkpoint")
    sft_s = time.monotonic() - training
    print(f"SFT: checkpoint {sft} after {sft_s:.0f} s", flush=True)
    dpo_start = time.monotonic()
    dpo = number(site.manage("train_dpo", dpo_data, "--checkpoint", sft, *DPO, "--no-evaluate"), "checkpoint")
    dpo_s = time.monotonic() - dpo_start
    print(f"DPO: checkpoint {dpo} after {dpo_s:.0f} s", flush=True)
    evaluating = time.monotonic()
    said = site.manage("evaluate", dpo, "--dataset", dpo_data, "--samples", "594", "--metrics-limit", "594")
    evaluation = var / "evaluations" / str(number(said, "evaluation"))
    evaluate_s = time.monotonic() - evaluating

    figures = json.loads((evaluation / "result.json").read_text())["metrics"]
    samples = [json.loads(line) for line in (evaluation / "samples.jsonl").read_text().splitlines()]
    report(
        "formality",
        {
            "accuracy_before": figures["parent_logp_accuracy"],
            "accuracy_after": figures["reward_accuracy"],
            "chosen_logp_change_pct": figures["chosen_logp_change_pct"],
            "polite_share_before": polite_share([sample["parent_output"] for sample in samples]),
            "polite_share_after": polite_share([sample["output"] for sample in samples]),
            "wall_s": time.monotonic() - start,
            "logp_accuracy_after": figures["logp_accuracy"],
            "test_pairs": figures["preference_pairs"],
            "annotations": submitted,
            "import_s": import_s,
            "labelling_s": labelling_s,
            "sft_s": sft_s,
            "dpo_s": dpo_s,
            "evaluate_s": evaluate_s,
        },
        {
            "accuracy_before": "SFT checkpoint: log-probability per token favours the formal side (test pairs)",
            "accuracy_after": "DPO checkpoint: implicit reward against SFT favours the formal side; target ≥ 0.97",
            "chosen_logp_change_pct": "change of the formal side's log-probability; target ≥ -2",
            "polite_share_before": "greedy outputs of the SFT checkpoint with a polite form",
            "polite_share_after": "greedy outputs of the DPO checkpoint with a polite form",
            "annotations": f"through HTTP: overlap {OVERLAP}, {ERROR:.0%} error; the held-out ones by an expert",
        },
    )


def bring_in(site: Site, var: Path) -> dict[str, str]:
    """Accounts, project, prompts and the two batches. Returns which side each translation is on."""
    for name in ("manager", "expert", *(f"simulated{n}" for n in range(1, OVERLAP + 1))):
        site.manage("create_user", f"{name}@example.org", "--name", name.title(), "--password", PASSWORD)
    site.manage(
        "create_project",
        PROJECT,
        "--name",
        "Formality",
        "--goal",
        "translation",
        "--source-language",
        "en",
        "--target-language",
        "ja",
        "--overlap",
        OVERLAP,
        "--manager",
        "manager@example.org",
        "--annotator",
        "expert@example.org",
        *(word for n in range(1, OVERLAP + 1) for word in ("--annotator", f"simulated{n}@example.org")),
    )
    rows = [json.loads(line) for line in (DATA / "cocoa_mt_enja.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if not row["identical"]]
    file = var / "cocoa.jsonl"
    with file.open("w", encoding="utf-8") as out:
        for row in rows:
            kept = {"external_id": row["id"], "text": row["source"], "formal": row["formal"]}
            kept |= {"informal": row["informal"], "split": row["split"]}
            out.write(json.dumps(kept, ensure_ascii=False) + "\n")
    said = site.manage(
        "import_prompts",
        PROJECT,
        file,
        "--candidate",
        "formal=import:formal",
        "--candidate",
        "informal=import:informal",
    )
    print(said.strip().splitlines()[-1], flush=True)
    site.manage("open_batch", PROJECT, "choosing", "--name", "Train", "--only", "train", "--overlap", OVERLAP)
    site.manage("open_batch", PROJECT, "choosing", "--name", "Test", "--only", "held-out", "--overlap", 1)
    return {row[side]: side for row in rows for side in ("formal", "informal")}


def label(site: Site, sides: dict[str, str]) -> int:
    """Three simulated annotators and the expert work at the same time; returns how many annotations were accepted."""
    batches = {"Train": 1, "Test": 2}
    done: list[int] = []
    workers = [(f"simulated{n}@example.org", batches["Train"], ERROR) for n in range(1, OVERLAP + 1)]
    workers.append(("expert@example.org", batches["Test"], 0.0))
    threads = [
        threading.Thread(target=lambda who=who: done.append(annotate(site, *who, sides=sides)), daemon=True)
        for who in workers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(done) != len(workers):
        raise RuntimeError("an annotator stopped before the end; see the traceback above")
    return sum(done)


def annotate(site: Site, email: str, batch: int, error: float, *, sides: dict[str, str]) -> int:
    """One person answers until nothing is left: the formal side, except by a slip of `error`."""
    person, slips = Person(site, email), random.Random(email)
    person.get(f"/batches/{batch}/work/")
    count = 0
    while (path := person.submit_path()) is not None:
        alternatives = person.page.xpath("//label[contains(@class, 'alternative')]//*[@class='text']")
        shown = [sides[element.text_content().strip()] for element in alternatives]
        formal = "a" if shown[0] == "formal" else "b"
        slip = slips.random() < error
        person.post(path, choice={"a": "b", "b": "a"}[formal] if slip else formal, active_seconds=3)
        count += 1
    return count


def number(said: str, word: str) -> int:
    """The id in a command's closing line, such as `run 7: succeeded, checkpoint 4`."""
    found = re.search(rf"\b{word} (\d+)", said.strip().splitlines()[-1])
    if not found:
        raise RuntimeError(f"no {word} in: {said[-500:]}")
    return int(found.group(1))


def polite_share(outputs: list[str]) -> float:
    return sum(bool(POLITE.search(output)) for output in outputs) / max(1, len(outputs))


if __name__ == "__main__":
    main()
