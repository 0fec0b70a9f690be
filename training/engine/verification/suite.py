"""Run checks against a trainer, one after another, and turn whatever happens into a Result."""

import importlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from training.engine.verification.apart import Crashed, first_line
from training.engine.verification.bench import Bench
from training.engine.verification.check import Check, Finding, Indecisive, Result, Status
from training.engine.verification.checks.catalogue import ALL
from training.engine.verification.jobs import NotOffered, Refused, Trainer

ADAPTERS = {
    "ours": "training.engine.verification.adapters.konomi:Konomi",
    "trl": "training.engine.verification.adapters.plain_trl:PlainTRL",
}


def load_trainer(name: str) -> Trainer:
    """The trainer behind "ours", "trl" or "module:attribute". Raises ValueError with the remedy."""
    module, _, attribute = ADAPTERS.get(name, name).partition(":")
    if not attribute:
        raise ValueError(f"--trainer {name}: name {', '.join(ADAPTERS)}, or an adapter as module:attribute")
    try:
        trainer: Trainer = getattr(importlib.import_module(module), attribute)()
    except (ImportError, AttributeError) as error:
        raise ValueError(f"--trainer {name} cannot be imported: {error}") from error
    return trainer


def select(only: Sequence[str], checks: Sequence[Check] = ALL) -> list[Check]:
    """The checks of these names or groups, all if none is given. Raises ValueError for a name that is none."""
    known = {check.name for check in checks} | {check.group for check in checks}
    unknown = [name for name in only if name not in known]
    if unknown:
        raise ValueError(f"--only {', '.join(unknown)}: no such check or group; --list shows them")
    return [check for check in checks if not only or check.name in only or check.group in only]


def run(
    trainer: Trainer, folder: Path, checks: Sequence[Check], progress: Callable[[Check, Result | None], None]
) -> list[Result]:
    """The results in order. `progress` is called before each check (None) and after it."""
    bench = Bench(trainer, folder)
    results = []
    for check in checks:
        progress(check, None)
        result = run_check(check, bench)
        progress(check, result)
        results.append(result)
    return results


def run_check(check: Check, bench: Bench) -> Result:
    """The check's result. An exception that is no refusal fails it; Indecisive is raised: the suite is at fault."""
    began = time.monotonic()
    status: Status = "fail"
    finding = Finding(False, "")
    try:
        finding = check.measure(bench)
        status = "pass" if finding.passed else "fail"
    except Refused as refusal:
        status = "refused" if check.may_refuse else "fail"
        finding = Finding(False, f"refused: {refusal}")
    except NotOffered as missing:
        status, finding = "not offered", Finding(False, str(missing))
    except Indecisive:
        raise
    except Crashed as crash:
        finding = Finding(False, f"crashed: {crash}")
    except Exception as error:  # an adapter is somebody else's code: it may raise anything
        finding = Finding(False, f"crashed: {type(error).__name__}: {first_line(error)}")
    return Result(
        check.name,
        check.group,
        check.asserts,
        status,
        finding.words,
        finding.figure,
        finding.tolerance,
        round(time.monotonic() - began, 2),
    )


def counts(results: Sequence[Result]) -> dict[str, int]:
    """How many results have each status."""
    totals: dict[str, int] = {"pass": 0, "fail": 0, "refused": 0, "not offered": 0}
    for result in results:
        totals[result.status] += 1
    return totals
