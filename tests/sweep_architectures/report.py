"""The sweep's table, and what counts as a failure in it."""

import math
from collections.abc import Sequence
from importlib import metadata

from tests.sweep_architectures.family import Row
from training.engine.verification.report import items, one_line

BEGIN = "<!-- begin: python -m tests.sweep_architectures --write -->"
LN_2 = math.log(2)
LOSS = 1e-4
ROWS = 2e-3  # of summed log-probabilities around −200, in float32
REPORTED = 1e-4
MERGE = 1e-3
# How the trainer words an error that it does not know.
RAW = ("The traceback is in the log", "training has diverged")
LIBRARIES = ("transformers", "torch", "trl", "peft")


def problems(row: Row) -> list[str]:
    """What is wrong with a family that was built: each in a few words."""
    found = []
    for words, refusal in (("refused", row.refused), ("refused with LoRA", row.lora_refused)):
        if any(sign in refusal for sign in RAW):
            found.append(f"{words}: {one_line(refusal)}")
    if row.rows is not None and not row.rows <= ROWS:
        found.append(f"log-probabilities differ by {row.rows:.2g} in packed rows")
    if row.reported is not None and not row.reported <= REPORTED:
        found.append(f"reported log-probabilities are off by {row.reported:.2g} of those of each sequence alone")
    if row.scored is not None and not row.scored <= REPORTED:
        found.append(f"the evaluation's log-probabilities are off by {row.scored:.2g} of those of each sequence alone")
    if row.first_loss is not None and not row.auxiliary and not abs(row.first_loss - LN_2) <= LOSS:
        found.append(f"the first loss is {row.first_loss:.5f}")
    if row.first_loss is not None and row.auxiliary and not row.first_loss > LN_2:
        found.append(f"the first loss is {row.first_loss:.5f}, without the router's loss")
    if row.merge is not None and not row.merge <= MERGE:
        found.append(f"logits differ by {row.merge:.2g} after merging")
    if row.unmoved:
        found.append(f"{len(row.unmoved)} adapters have not moved, which have a gradient: {row.unmoved[0]}")
    return found


def markdown(rows: Sequence[Row], crashed: dict[str, str], left_out: Sequence[str] = ()) -> str:
    built = [row for row in rows if not row.not_built]
    packed = [row for row in built if row.packed]
    plain = [row for row in built if row.plain]
    faulty = {row.family: problems(row) for row in built if problems(row)}
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in LIBRARIES)
    lines = [
        f"{versions}: {len(rows) + len(crashed)} families, {len(built)} built, {len(packed)} in packed rows, "
        f"{len(plain)} by plain TRL, {sum(bool(row.lora) for row in built)} with LoRA on all linear modules, "
        f"{len(faulty) + len(crashed)} with problems.",
        "",
        "| family | computed | in packed rows | reported | evaluated | LoRA | merged | first loss |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in built:
        lora = row.lora or ("refused" if row.lora_refused else "–")
        merge = figure(row.merge) if not row.merge_refused else "refused"
        loss = "–" if row.first_loss is None else f"{row.first_loss:.5f}"
        figures = (figure(row.rows), figure(row.reported), figure(row.scored))
        cells = (f"`{row.family}`", row.how, *figures, lora, merge, loss)
        lines.append("| " + " | ".join(cells) + " |")
    lines += section("Problems", {**{name: "; ".join(each) for name, each in faulty.items()}, **crashed})
    refused = {row.family: one_line(row.refused) for row in built if row.refused and row.family not in faulty}
    lines += section("Refused before a step, and why", refused)
    lines += section("Plain TRL, and why", {row.family: row.plain for row in plain})
    # What is refused with and without LoRA is above.
    lora_refused = {row.family: one_line(row.lora_refused) for row in built if row.lora_refused and not row.refused}
    lines += section("LoRA on all linear modules refused", lora_refused)
    lines += section("Merging refused", {row.family: row.merge_refused for row in built if row.merge_refused})
    lines += section("Not built", {row.family: row.not_built for row in rows if row.not_built})
    other = "no decoder of text, or not by itself: encoders, halves of translators, models of images and sound"
    lines += section("Left out", dict.fromkeys(left_out, other))
    return "\n".join(lines) + "\n"


def figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.1g}"


def section(title: str, reasons: dict[str, str]) -> list[str]:
    """A list of families by reason."""
    if not reasons:
        return []
    return ["", f"## {title}", "", *items(reasons)]
