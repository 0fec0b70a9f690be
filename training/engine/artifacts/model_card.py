"""The model card (README.md) that travels with what a run leaves in model/.

Everything in it comes from the run's configuration, its metrics, and the manifest of its dataset; whatever those lack
is stated as unknown.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from training.contract import config as configs
from training.contract.config import TrainingConfig
from training.contract.headline import FEWEST, MOST
from training.contract.lineage import named_config
from training.contract.wording import counted
from training.engine.runtime.environment import versions

HEADINGS = {
    "pretrain": "A small language model trained from scratch",
    "train_sft": "Supervised fine-tuning on annotated answers",
    "train_dpo": "Direct preference optimisation on annotated choices",
    "train_kto": "Kahneman-Tversky optimisation on texts that annotators called good or bad",
}
UNKNOWN = "unknown"
# What a library is told beside `base_model`, see https://huggingface.co/docs/hub/model-cards.
Front = dict[str, str | list[str]]


def model_card(
    config: TrainingConfig,
    *,
    lineage: Mapping[str, Any],
    adapter: bool,
    metrics: Mapping[str, Any],
    counts: Mapping[str, int],
    manifest: Mapping[str, Any] | None = None,
) -> str:
    """Markdown with Hugging Face's front matter. `lineage` is the content of lineage.json, `manifest` that of the
    dataset's manifest.json, if any."""
    manifest = manifest or {}
    config = named_config(config)
    chain = link_lines(lineage) if config.model.base else ["`(random weights)`"]
    this = f"this adapter ({method(config)})" if adapter else "the full weights here (what came before is in them)"
    front: Front = {"library_name": "peft" if adapter else "transformers", "pipeline_tag": "text-generation"}
    if config.model.base:
        front |= {"base_model": config.model.base, "base_model_relation": "adapter" if adapter else "finetune"}
    if languages := languages_of(manifest):
        front["language"] = languages
    front["tags"] = ["konomi", config.program, *(["lora"] if adapter else [])]
    lines = [f"# {HEADINGS[config.program]}: {config.run_id}", ""]
    lines += ["## Lineage", "", *numbered([*chain, this]), "", *other_base(lineage)]
    if adapter:
        lines += [
            "Load the base, merge the adapters in this order, then this one; `lineage.json` says the same. "
            "`manage.py merge` does it and checks the result.",
            "",
        ]
    if config.lora and config.lora.quantization != "none":
        lines += [
            f"The base was held in {config.lora.quantization.replace('bit', ' bits')} while this adapter was trained: "
            "on the base in full precision its figures differ a little.",
            "",
        ]
    lines += ["## Intended use and limits", "", *bullets(use_and_limits(config, manifest)), ""]
    lines += ["## Data", "", *table(data_facts(config, manifest)), "", *labels(manifest)]
    lines += ["What became of the training rows:", "", *table({plain(k): v for k, v in counts.items()}), ""]
    lines += ["## Figures", "", "Of the training, on the rows trained on: means over the last tenth of its steps", ""]
    lines[-2] += f" (at least {FEWEST}, at most {MOST}, never more than half of them)."
    lines += [*table({plain(k): v for k, v in metrics.items()}), ""]
    lines += ["Figures on held-out rows are made afterwards and are not known to this card.", ""]
    lines += ["## Hyper-parameters", "", *table(hyper_parameters(config)), ""]
    lines += ["## Configuration", "", "All of it, as in `run.json`, with names in place of paths:", ""]
    lines += ["```json", configs.to_json(config).strip(), "```", ""]
    lines += ["## Versions", "", *table({**versions(), **{k: v for k, v in config.versions.items() if k == "konomi"}})]
    return front_matter(front) + "\n".join(lines) + "\n"


def merged_card(lineage: Mapping[str, Any]) -> str:
    """The card of a model that `manage.py merge` wrote, from its lineage.json."""
    merged = lineage["merged"]
    front: Front = {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "base_model": merged["base"],
        "base_model_relation": "finetune",
        "tags": ["konomi", "merged"],
    }
    links = []
    for link in merged["adapters"]:
        run = link.get("run_id")
        made = f"{run} ({link['program']}), dataset `{link['dataset_sha256'] or UNKNOWN}`" if run else "run unknown"
        links.append(f"`{link['name']}`: {made}, weights sha256 `{link['sha256']}`")
    facts = {
        "stored as": merged["dtype"],
        "parameters": f"{merged['parameters']:,}",
        "largest difference of logits, before and after merging (fp32)": f"{merged['largest_difference']:.3g}",
        "the same of the files as written": f"{merged['largest_difference_as_written']:.3g}",
        "largest change of logits by the adapters": f"{merged['largest_effect']:.3g}",
        "compared on": merged["compared"],
    }
    lines = ["# A model with its adapters merged into it", "", "The weights are whole: no adapter is needed.", ""]
    lines += ["## Lineage", "", *numbered([link_lines(lineage)[0], *links]), "", *other_base(lineage)]
    lines += [
        "Each adapter's own card tells its data, figures, intended use and limits. They hold for this model too.",
        "",
    ]
    lines += ["## Check", "", *table(facts), "", "## Versions", "", *table(versions())]
    return front_matter(front) + "\n".join(lines) + "\n"


# ---- what is known ----


def link_lines(lineage: Mapping[str, Any]) -> list[str]:
    """Base and adapters in order, with the sha256 of their weights where it is known."""
    names = [lineage["base"], *lineage["adapters"]]
    hashes = [lineage.get("base_sha256", ""), *lineage.get("adapters_sha256", [])]
    return [
        f"`{name}`" + (f", weights sha256 `{sha}`" if sha else "")
        for name, sha in zip(names, hashes or [""] * len(names), strict=True)
    ]


def other_base(lineage: Mapping[str, Any]) -> list[str]:
    if not lineage.get("other_base"):
        return []
    return [f"**Another base was allowed:** {cell(lineage['other_base'])}.", ""]


def method(config: TrainingConfig) -> str:
    if config.lora is None:
        return "all weights"
    name = "DoRA" if config.lora.dora else "LoRA"
    return f"Q{name}" if config.lora.quantization != "none" else name


def languages_of(manifest: Mapping[str, Any]) -> list[str]:
    project = manifest.get("project", {})
    languages = [project.get("source_language"), project.get("target_language")]
    return list(dict.fromkeys(language for language in languages if language))


def use_and_limits(config: TrainingConfig, manifest: Mapping[str, Any]) -> list[str]:
    project, annotations = manifest.get("project", {}), manifest.get("annotations", {})
    rows, agreement = manifest.get("rows", {}), manifest.get("agreement", {})
    if config.program == "pretrain":
        return [
            "A small model for demonstrations and tests: it is not meant to be used for anything else.",
            "Not evaluated.",
        ]
    goals = {
        "translation": "translation from `{source_language}` to `{target_language}`",
        "persona": "replies of the project's persona, asked in `{source_language}`, in `{target_language}`",
    }
    goal = goals.get(project.get("goal", ""), "").format_map(
        {"source_language": "?", "target_language": "?", **project}
    )
    name = f"the project “{project['name']}”" if project.get("name") else "a project that its dataset does not name"
    sentences = [
        f"Made for {name}{': ' + goal if goal else ''}. Other tasks, domains and languages were not looked at."
    ]
    if not languages_of(manifest):
        sentences.append("Languages: unknown, since the dataset does not say.")
    people = annotations.get("annotators")
    if people is None:
        sentences.append("How many people's judgement it follows is unknown.")
    else:
        whose = "of one person" if people == 1 else f"of {people:,} people"
        sentences.append(
            f"It follows the judgement {whose}, on {counted(annotations['count'], 'annotation')} that became "
            f"{counted(rows['train'], 'training row')}. Whom they represent is not known to this card."
        )
    if manifest and not agreement:
        sentences.append("No label was given by two people: how far they would agree is unknown.")
    if config.share < 1:
        sentences.append(f"Trained on {config.share:.0%} of the prompts only, as a point of a learning curve.")
    sentences += [
        "Not evaluated beyond the held-out rows of this dataset: in particular not for truth, safety, bias, or "
        "abilities that the base model had before.",
        "Licence and limits of the base model hold on; this card does not know them.",
    ]
    return sentences


def data_facts(config: TrainingConfig, manifest: Mapping[str, Any]) -> dict[str, Any]:
    rows, annotations = manifest.get("rows", {}), manifest.get("annotations", {})
    versions_of = {
        "guideline version": manifest.get("guideline_versions"),
        "version of the aspects' weights": manifest.get("weight_versions"),
    }
    facts: dict[str, Any] = {
        "sha256": f"`{config.dataset_sha256}`" if config.dataset_sha256 else "not given",
        "training rows": rows.get("train", UNKNOWN),
        "held-out rows (never trained on)": rows.get("held_out", UNKNOWN),
        "annotations": annotations.get("count", UNKNOWN),
        "annotators": annotations.get("annotators", UNKNOWN),
    }
    for name, numbers in versions_of.items():
        facts[name] = UNKNOWN if numbers is None else ", ".join(map(str, numbers)) or "none"
    facts["frozen by Konomi"] = manifest.get("code_version", UNKNOWN)
    return facts


def labels(manifest: Mapping[str, Any]) -> list[str]:
    """Kinds and counts of labels, agreement, selection and what was left out; nothing without a manifest."""
    if not manifest:
        return ["The dataset came without a manifest: where its rows are from is unknown.", ""]
    lines: list[str] = []
    agreement = manifest.get("agreement", {})
    by_kind = manifest.get("annotations", {}).get("by_kind", {})
    if by_kind:
        rows = manifest.get("rows", {}).get("by_kind", {})
        lines += ["| kind of label | annotations | rows | pairwise agreement |", "|---|---|---|---|"]
        for kind, count in by_kind.items():
            seen = agreement.get(kind)
            observed = "unknown: no two people"
            if seen:
                observed = f"{seen['observed_pairwise']:.1%} of {counted(seen['pairs'], 'pair')}"
            lines.append(f"| {kind} | {count:,} | {rows.get(kind, 0):,} | {observed} |")
        lines += ["", "Agreement is observed, not corrected for chance. A row may come from several kinds.", ""]
    if selection := manifest.get("selection"):
        lines += ["Selected by:", "", *table({plain(k): "all" if v is None else v for k, v in selection.items()}), ""]
    if left_out := manifest.get("left_out"):
        lines += ["Left out when it was frozen:", "", *table(left_out), ""]
    return lines


def hyper_parameters(config: TrainingConfig) -> dict[str, Any]:
    """Those that shape the result; everything else is in the configuration."""
    values: dict[str, Any] = {"method": method(config)}
    if config.lora:
        values |= {"rank": config.lora.r, "alpha": config.lora.alpha, "dropout": config.lora.dropout}
        values["modules"] = ", ".join(config.lora.targets)
    values |= {
        "rows of one optimizer step": config.batch_size * config.gradient_accumulation * config.processes,
        "epochs": config.epochs if config.max_steps <= 0 else f"{counted(config.max_steps, 'step')} at most",
        "learning rate": f"{config.learning_rate:g}, {config.lr_scheduler}, warm-up {config.warmup_ratio:g}",
        "weight decay": config.weight_decay,
        "longest text in tokens": config.max_length,
        "precision": config.precision,
        "seed": config.seed,
    }
    if config.program in ("train_dpo", "train_kto"):
        values["beta"] = config.beta
    if config.program == "train_dpo":
        weights = config.loss_weights or (1.0,) * len(config.losses)
        values["losses"] = ", ".join(
            f"{loss} × {weight:g}" for loss, weight in zip(config.losses, weights, strict=True)
        )
        values["split votes"] = "their share is the target" if config.soft_labels else "the majority counts for certain"
        values["margin asked for by strength"] = config.strength_offset
        values["ties"] = f"learnt, threshold {config.tie_threshold:.4g}" if config.ties == "learn" else "dropped"
    if config.program == "train_kto":
        pair = (config.desirable_weight, config.undesirable_weight)
        values["weights of good and bad"] = ", ".join(f"{weight:g}" if weight else "balanced" for weight in pair)
    return values


# ---- Markdown ----


def front_matter(values: Front) -> str:
    """YAML of the safest kind: every value is a JSON string or a list of them."""
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
    return "\n".join(["---", *lines, "---", "", ""])


def table(values: Mapping[str, Any]) -> list[str]:
    return ["| | |", "|---|---|", *(f"| {cell(name)} | {cell(value)} |" for name, value in values.items())]


def cell(value: Any) -> str:
    """A value that cannot break out of its cell, whatever people named their things."""
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(cell, value))
    return " ".join(str(value).replace("|", "\\|").split())


def plain(name: str) -> str:
    return name.replace("_", " ")


def numbered(lines: Iterable[str]) -> list[str]:
    return [f"{number}. {cell(line)}" for number, line in enumerate(lines, 1)]


def bullets(lines: Iterable[str]) -> list[str]:
    return [f"- {cell(line)}" for line in lines]
