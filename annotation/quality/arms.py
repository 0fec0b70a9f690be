"""Tasks by how they were selected: agreement, ties and the checkpoint's margin of each arm beside the random one. Pure.

A row has `arm`, `tasks` (answered ones), `ties`: figure (the share of choices that are ties), `margin`: figure (the
mean smallest margin, where it is stored), and `agreement`: rows as of a batch (`annotation.quality.results`).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from annotation.quality import agreements, columns
from annotation.quality.columns import BAD
from annotation.quality.figures import TOO_FEW, mean_of, no_figure
from annotation.quality.material import Material

ORDER = ("random", "uncertain", "diverse")


class Selected(NamedTuple):
    """How a task was selected; `margin` is the smallest of its texts now, None where none is stored."""

    arm: str
    margin: float | None


def of_arms(material: Material, selected: Mapping[int, Selected]) -> list[dict[str, Any]]:
    """The rows of the arms that have answers, the random one first."""
    rated, found = material.rated, []
    for arm in ORDER:
        of_arm = [task for task, how in selected.items() if how.arm == arm]
        rows = rated.where(np.isin(rated.task, of_arm))
        if not len(rows.unit):
            continue
        # What two people's texts have in common is kept by prompt and batch only: not compared by arm.
        part = agreements.Part(rows, material.alike.where(np.zeros(len(material.alike.one), dtype=bool)))
        answered = np.unique(rows.task).tolist()
        margins = [margin for task in answered if (margin := selected[task].margin) is not None]
        found.append(
            {
                "arm": arm,
                "tasks": len(answered),
                "ties": ties(material, rows),
                "margin": mean(np.array(margins), np.arange(len(margins))),
                "agreement": list(agreements.of_part(material, part)),
            }
        )
    return found


def ties(material: Material, rows: columns.Rated) -> dict[str, Any]:
    is_choice = [at for at, one in enumerate(material.measures) if one.name == columns.CHOICE]
    rows = rows.where(np.isin(rows.measure, is_choice))
    rows = rows.where(~np.isnan(rows.given) & (rows.given != BAD))
    return mean((rows.given == 0).astype(float), rows.prompt)


def mean(values: np.ndarray, cluster: np.ndarray) -> dict[str, Any]:
    if not len(values):
        return no_figure(TOO_FEW).as_dict()
    return mean_of(values, cluster, fewest=agreements.FEWEST, paths=agreements.PATHS).as_dict()
