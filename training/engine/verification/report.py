"""Results for readers (a table in the terminal), for programs (JSON) and for the documentation (Markdown)."""

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from training.engine.verification import suite
from training.engine.verification.check import Result

COLOURS = {"pass": "green", "fail": "bold red", "refused": "yellow", "not offered": "dim"}
WORDS = {"pass": "passes", "fail": "**fails**", "refused": "refuses", "not offered": "not offered"}
BEGIN, END = "<!-- begin: python -m training.engine.verify --markdown -->", "<!-- end -->"


@dataclass(frozen=True)
class Report:
    """One trainer's results."""

    trainer: str
    versions: dict[str, str]
    results: list[Result]

    @property
    def failed(self) -> bool:
        return any(result.status == "fail" for result in self.results)


def figure(result: Result) -> str:
    """The figure beside its tolerance, or an empty string for a yes or no."""
    if result.figure is None:
        return ""
    return f"{result.figure:.2g} (≤ {result.tolerance:g})"


def print_table(report: Report, console: Console) -> None:
    console.print(table(report))
    totals = suite.counts(report.results)
    seconds = sum(result.seconds for result in report.results)
    console.print(", ".join(f"{count} {name}" for name, count in totals.items() if count) + f"; {seconds:.0f} s")


def table(report: Report) -> Table:
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    made = Table(title=f"{report.trainer} ({versions})", title_justify="left")
    for name in ("check", "asserts", "result", "figure", "measured"):
        made.add_column(name, overflow="fold", no_wrap=name in ("check", "result"))
    for result in report.results:
        colour = COLOURS[result.status]
        status = f"[{colour}]{result.status}[/{colour}]"
        made.add_row(result.name, escape(result.asserts), status, figure(result), escape(result.words))
    return made


def as_dict(reports: Sequence[Report]) -> dict[str, Any]:
    return {
        "trainers": [
            {
                "trainer": report.trainer,
                "versions": report.versions,
                "counts": suite.counts(report.results),
                "results": [dataclasses.asdict(result) for result in report.results],
            }
            for report in reports
        ]
    }


def markdown(reports: Sequence[Report]) -> str:
    """A table of all trainers, and below it what was measured where one does not pass."""
    lines = []
    for report in reports:
        versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
        totals = suite.counts(report.results)
        summary = ", ".join(f"{count} {name}" for name, count in totals.items() if count)
        lines.append(f"- {report.trainer} ({versions}): {summary}.")
    lines += ["", "| check | what is asserted | " + " | ".join(report.trainer for report in reports) + " |"]
    lines.append("|---" * (2 + len(reports)) + "|")
    for row in zip(*(report.results for report in reports), strict=True):
        cells = [f"{WORDS[result.status]}{' ' + figure(result) if figure(result) else ''}" for result in row]
        lines.append(f"| `{row[0].name}` | {row[0].asserts} | " + " | ".join(cells) + " |")
    for report in reports:
        others = {result.name: result.words for result in report.results if result.status != "pass"}
        if others:
            lines += ["", f"What {report.trainer} did where it does not pass:", "", *items(others)]
    return "\n".join(lines) + "\n"


def items(reasons: dict[str, str]) -> list[str]:
    """A list of names by reason."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        by_reason.setdefault(one_line(reason), []).append(name)
    return [f"- {', '.join(f'`{name}`' for name in names)}: {reason}" for reason, names in by_reason.items()]


def one_line(text: str) -> str:
    """The text without line breaks and without the paths of this machine."""
    return re.sub(r"/\S*/([\w.-]+)", r"…/\1", " ".join(text.split()))


def write_markdown(text: str, path: Path, begin: str = BEGIN) -> None:
    """Put the text between the marks of the page, or make a page of it. Raises ValueError for a page without marks."""
    if not path.exists():
        path.write_text(f"{begin}\n\n{text}\n{END}\n", encoding="utf-8")
        return
    page = path.read_text(encoding="utf-8")
    if begin not in page or END not in page.partition(begin)[2]:
        raise ValueError(f"{path} has no lines {begin} and {END}: put them where the table belongs")
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{begin}\n\n{text}\n{END}{after}", encoding="utf-8")
