"""Selected tasks beside random ones, in words (`annotation.quality.arms`). Computes nothing."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from annotation.dashboards.figures import Figure
from annotation.dashboards.quality_figures import coefficient, plain, share_figure
from annotation.models import Kind, TaskArm

Stored = Mapping[str, Any]


class ArmRow(NamedTuple):
    """`agreement`: (what, alpha) of each measure."""

    name: str
    tasks: int
    agreement: list[tuple[str, Figure]]
    ties: Figure
    margin: Figure


def arm_rows(rows: Iterable[Stored], aspects: Mapping[str, str]) -> list[ArmRow]:
    return [
        ArmRow(
            str(TaskArm.Arm(row["arm"]).label),
            row["tasks"],
            [(measure(one, aspects), coefficient(one["alpha"])) for one in row["agreement"] if "alpha" in one],
            share_figure(row["ties"]),
            plain(row["margin"]),
        )
        for row in rows
    ]


def measure(row: Stored, aspects: Mapping[str, str]) -> str:
    name = str(Kind(row["kind"]).label)
    return f"{name}: {aspects.get(row['aspect'], row['aspect'])}" if row["aspect"] else name
