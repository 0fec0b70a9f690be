"""The model card (README.md) that travels with what a run leaves in model/."""

import json
from typing import Any

from training.engine import config as configs
from training.engine.config import TrainingConfig
from training.engine.program import versions

WORDS = {
    "pretrain": "A small language model trained from scratch",
    "train_sft": "Supervised fine-tuning on annotated answers",
    "train_dpo": "Direct preference optimisation on annotated choices",
    "train_kto": "Kahneman-Tversky optimisation on texts that annotators called good or bad",
}


def model_card(config: TrainingConfig, *, adapter: bool, metrics: dict[str, Any], counts: dict[str, int]) -> str:
    """Markdown: lineage, data, figures, configuration, versions."""
    front = ["---", f"library_name: {'peft' if adapter else 'transformers'}"]
    if config.model.base:
        front.append(f"base_model: {json.dumps(config.model.base)}")
    front += ["pipeline_tag: text-generation", f"tags: [konomi, {config.program}]", "---"]
    chain = [config.model.base or "(random weights)", *config.model.adapters]
    this = "this adapter (LoRA)" if adapter else "the full weights here (everything before is merged into them)"
    lines = [
        *front,
        "",
        f"# {WORDS[config.program]}: run {config.run_id}",
        "",
        "## Lineage",
        "",
        *[f"{number}. `{link}`" for number, link in enumerate(chain, 1)],
        f"{len(chain) + 1}. {this}",
        "",
    ]
    if adapter:
        lines += ["Load the base, merge the adapters in this order, then this one; `lineage.json` says the same.", ""]
    lines += ["## Data", "", f"Dataset sha256: `{config.dataset_sha256 or 'not given'}`", ""]
    lines += [*_table({"rows: " + name.replace("_", " "): value for name, value in counts.items()}), ""]
    lines += ["## Figures", "", *_table(metrics), ""]
    lines += ["## Configuration", "", "```json", configs.to_json(config).strip(), "```", ""]
    lines += ["## Versions", "", *_table(versions())]
    return "\n".join(lines) + "\n"


def _table(values: dict[str, Any]) -> list[str]:
    rows = [f"| {name} | {f'{value:.5g}' if isinstance(value, float) else value} |" for name, value in values.items()]
    return ["| | |", "|---|---|", *rows]
