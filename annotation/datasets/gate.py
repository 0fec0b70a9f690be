"""What a dataset's labels are worth, against the floor that its project asks for."""

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.models import Kind, Project
from annotation.quality.gate import MOST_TASKS, measured
from annotation.quality.source import material_of
from annotation.text.formatting import comma_list


def gate_facts(project: Project, annotations: Sequence[int]) -> dict[str, Any]:
    """For the manifest: the floor, the agreement of these labels by measure, whether one is below, how much gold was
    answered rightly, and the tasks whose adjudication would lift it over. Call it inside the freeze's transaction."""
    floor = project.agreement_floor
    assert floor is not None
    material = material_of(project, annotations=list(annotations))
    rows = measured(material, floor)
    below = [row for row in rows if row.is_below(floor)]
    tasks = sorted({task for row in below for task in row.tasks or []})
    right = [is_right for _person, _kind, is_right in material_of(project).gold] if material.answers else []
    return {
        "floor": floor,
        "agreement": [row.as_dict() for row in rows],
        "is_below": bool(below),
        "gold": {"answers": len(right), "right": sum(right)},
        "to_decide": None if any(row.tasks is None for row in below) else len(tasks),
        "tasks": tasks[:MOST_TASKS],
    }


def beyond_chance(manifest: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """(what, agreement) of each measure that the manifest states."""
    rows = manifest.get("gate", {}).get("agreement", [])
    return [
        (comma_list(part for part in (str(Kind(row["kind"]).label).lower(), row["aspect"]) if part), row)
        for row in rows
    ]


def gate_lines(manifest: dict[str, Any]) -> list[str]:
    """The warning of a dataset below its project's floor, and what to do; empty where there is none."""
    facts = manifest.get("gate")
    if not facts or not facts["is_below"]:
        return []
    lines = [
        _("agreement beyond chance (alpha) of %(what)s is %(alpha).2f, below the project's floor of %(floor).2f")
        % {
            "what": what,
            "alpha": row["alpha"]["value"],
            "floor": facts["floor"],
        }
        for what, row in beyond_chance(manifest)
        if row["alpha"]["value"] is not None and row["alpha"]["value"] < facts["floor"]
    ]
    if facts["to_decide"] is None:
        return [*lines, _("deciding every divided task would not lift it over: read the guideline with the annotators")]
    return [
        *lines,
        ngettext(
            "deciding %(count)s task, the most divided one, would lift it over",
            "deciding %(count)s tasks, the most divided ones, would lift it over",
            facts["to_decide"],
        )
        % {"count": f"{facts['to_decide']:,}"},
    ]
