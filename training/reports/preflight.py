"""What preflight.json of a run directory says, for people: checks, lengths, memory and time."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from annotation.text.formatting import duration, percentage
from training.contract.hardware import gibibytes
from training.contract.run_directory import RunDirectory

BAR_WIDTH, BAR_HEIGHT = 10, 60
PARTS = {
    "weights": gettext_lazy("weights"),
    "gradients": gettext_lazy("gradients"),
    "optimizer": gettext_lazy("optimizer"),
    "activations": gettext_lazy("activations"),
    "logits": gettext_lazy("logits"),
}


@dataclass(frozen=True)
class Bar:
    """One bar of the histogram in SVG coordinates (BAR_WIDTH wide, the tallest BAR_HEIGHT high)."""

    x: float
    y: float
    height: float


@dataclass(frozen=True)
class Preflight:
    """`checks` are (status, words), `sentences` what was measured, `bars` and `edges` the histogram of lengths."""

    checks: Sequence[tuple[str, str]]
    warnings: int
    sentences: Sequence[str]
    bars: Sequence[Bar]
    lengths: str
    edges: str
    width: int

    @property
    def title(self) -> str:
        if not self.warnings:
            return _("Preflight checks passed")
        title_text = ngettext(
            "Preflight checks: %(count)s warning",
            "Preflight checks: %(count)s warnings",
            self.warnings,
        )
        return title_text % {"count": self.warnings}


def read_preflight(directory: RunDirectory) -> dict[str, Any]:
    """The content of preflight.json; empty where there is none yet."""
    path = directory.preflight_path
    if not path.exists():
        return {}
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def describe_preflight(content: Mapping[str, Any]) -> Preflight | None:
    """The page's part of it; None where there is no preflight."""
    if not content:
        return None
    checks = [(str(check.get("status")), str(check.get("words", ""))) for check in content.get("checks") or []]
    lengths = content.get("lengths") or {}
    counts = [int(count) for count in lengths.get("counts") or []]
    bins = [int(edge) for edge in lengths.get("bins") or []]
    sentences = [
        sentence for sentence in (_memory(content.get("memory") or {}), _time(content.get("time") or {})) if sentence
    ]
    return Preflight(
        sorted(checks, key=lambda check: check[0] == "ok"),
        sum(status != "ok" for status, _words in checks),
        sentences,
        _bars(counts),
        _lengths(lengths) if counts else "",
        _("%(first)s to %(last)s tokens") % {"first": bins[0], "last": f"{bins[-1]:,}"} if bins else "",
        BAR_WIDTH * len(counts),
    )


def describe_method(result: Mapping[str, Any] | None, padding: float | None = None) -> list[str]:
    """How a run was computed, from result.json: packed or by plain TRL, and where the reference came from.

    `padding`: which share of a packed run's places held no token, where the metrics say so.
    """
    sentences = []
    method, cache = (result or {}).get("method") or {}, (result or {}).get("reference_cache") or {}
    if method.get("packing"):
        if padding is None:
            sentences.append(_("Computed with packing."))
        else:
            share = percentage(padding, 1)
            sentences.append(_("Computed with packing; %(share)s of the positions were padding.") % {"share": share})
    elif method:
        why = method.get("why")
        sentences.append(_("Computed by plain TRL: %(why)s") % {"why": why} if why else _("Computed by plain TRL."))
    if cache:
        hits, computed = int(cache.get("hits", 0)), int(cache.get("computed", 0))
        sentences.append(
            _("Reference log-probabilities: %(hits)s from the cache, %(computed)s computed.")
            % {"hits": f"{hits:,}", "computed": f"{computed:,}"}
        )
    return sentences


def _bars(counts: Sequence[int]) -> list[Bar]:
    most = max(counts, default=0) or 1
    heights = [round(BAR_HEIGHT * count / most, 1) for count in counts]
    return [Bar(BAR_WIDTH * place, BAR_HEIGHT - height, height) for place, height in enumerate(heights)]


def _lengths(lengths: Mapping[str, Any]) -> str:
    figures = {name: f"{lengths[name]:,.0f}" for name in ("median", "p95", "longest") if name in lengths}
    if len(figures) < 3:
        return ""
    sentence = _("Half of the rows have at most %(median)s tokens, 95 %% at most %(p95)s; the longest has %(longest)s.")
    return sentence % figures


def _memory(memory: Mapping[str, Any]) -> str:
    estimate, available = memory.get("estimate_bytes") or {}, memory.get("available_bytes")
    if not estimate.get("total"):
        return ""
    parts = [f"{label} {gibibytes(estimate[key])}" for key, label in PARTS.items() if estimate.get(key)]
    sentence = _("Needs about %(total)s of memory (%(parts)s).") % {
        "total": gibibytes(estimate["total"]),
        "parts": ", ".join(parts),
    }
    if available:
        sentence += " " + _("The machine has %(available)s free.") % {"available": gibibytes(available)}
    if memory.get("measured_peak_bytes"):
        peak = gibibytes(memory["measured_peak_bytes"])
        if memory.get("measured") == "first_step":
            sentence += " " + _("The first step took %(peak)s.") % {"peak": peak}
        else:
            sentence += " " + _("A trial of the longest batch took %(peak)s.") % {"peak": peak}
    return sentence


def _time(time: Mapping[str, Any]) -> str:
    if not time.get("estimate_s") or not time.get("steps"):
        return ""
    sentence = ngettext(
        "%(steps)s step should take about %(time)s.", "%(steps)s steps should take about %(time)s.", int(time["steps"])
    )
    return sentence % {"steps": f"{int(time['steps']):,}", "time": duration(float(time["estimate_s"]))}
