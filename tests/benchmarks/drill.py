"""Faults as a drill: people work while the site's processes are killed, its clock jumps and its disk fills.

A real site (`manage.py serve`) with a data folder on a small file system of its own. Clients submit, draft, import,
freeze and train through the pages, and keep what the site acknowledged (an answer of the 200s or 300s). Meanwhile
every few seconds one of these is killed with -9: the web server or one of its processes, the worker or one of its
processes, PostgreSQL or one of its connections, an engine that trains a tiny model. Some people leave holding a task.
Afterwards everybody finishes what is left, and the database and the files are compared with what was acknowledged.

What is jumped: the time of day that web, worker, PostgreSQL and engines read, by up to 26 h forward and 5 h back, while
they run (tests/faults/clock.py; Linux and a C compiler). What is not: monotonic clocks, which do not jump in life, and
the times that the kernel writes to files. Where the clock cannot be set, `clock_jumps` is null; where no small file
system can be mounted (it takes root), `disk_recovery_s` is null; the reason is printed.

`longest_outage_s` is measured after each kill, until a write that began after it is acknowledged to anybody; after a
kill on the full disk, from when there is space. `longest_wait_s` is how long one person waited for one page, other
faults in between included.

    python -m tests.benchmarks.drill [--seconds 120] [--clients 16] [--seed 1]

Exits with 1 when anything is lost, counted twice or stuck, when an outage is longer than 10 s, or when a refusal does
not say why.
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.benchmarks._drill_clients import Annotator, Ledger, Manager, Phases
from tests.benchmarks._drill_faults import DISK_FULL_SECONDS, Faults, longest_outage, outage_after
from tests.benchmarks.annotate import ask_inside
from tests.benchmarks.report import ROOT, report
from tests.faults.clock import NoClock, SettableClock
from tests.faults.disk import NoSmallDisk, small_disk
from tests.site import Site, running_site

LONGEST_OUTAGE_SECONDS = 10.0
DISK_MEGABYTES = 1500
TASKS_A_SECOND = 30  # more than people who think can do
LEASE_AND_WATCH_SECONDS = 60 + 60  # the project's lease, and the job that looks for expired ones
DRAIN_SECONDS = 240
ROLES = ("import", "freeze", "run")
PACE = {"import": 3.0, "freeze": 5.0, "run": 2.0}
INSIDE = "_drill_inside"
NOTES = {
    "acknowledged": "writes that the site confirmed: answers, drafts, imports, datasets, runs",
    "lost": "of these, not there in the end; target 0",
    "duplicates": "anything that is there twice; target 0",
    "stuck_assignments": "tasks that nobody could finish; target 0",
    "stuck_runs": "runs and evaluations that never came to an end; target 0",
    "longest_outage_s": "from a kill until a later write was acknowledged; target ≤ 10",
    "longest_wait_s": "one page for one person, other faults in between included",
    "kills": "processes killed with -9",
    "clock_jumps": "times that the clock was set",
    "disk_recovery_s": "from when the disk had space until a later write was acknowledged; target ≤ 10",
    "refused_507": "requests that a full disk refused, with a page that says so",
    "unclear_refusals": "answers of the 500s that do not say why; target 0",
}


def main() -> int:
    parser = argparse.ArgumentParser(description="People work while the site breaks; nothing acknowledged is lost.")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long there are faults (default: %(default)s)")
    parser.add_argument("--clients", type=int, default=16, help="people at work, 5 or more (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="decides the order of the faults (default: %(default)s)")
    parser.add_argument("--keep", type=Path, help="copy the site's logs to this folder")
    arguments = parser.parse_args()
    if arguments.clients < 5:
        parser.error("--clients: three manage, and two or more annotate")
    with contextlib.ExitStack() as stack:
        disk = tools = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="konomi-drill-")))
        tools.chmod(0o711)
        is_small = True
        try:
            disk = stack.enter_context(small_disk(DISK_MEGABYTES))
        except NoSmallDisk as problem:
            is_small = False
            print(f"The disk is not filled: {problem}")
        clock = None
        try:
            clock = SettableClock(tools)
        except NoClock as problem:
            print(f"The clock does not jump: {problem}")
        site = stack.enter_context(running_site(disk / "var", **(clock.environment if clock else {})))
        try:
            figures, problems = drill(site, arguments, clock, disk if is_small else None)
        finally:
            if arguments.keep:
                keep_logs(site, arguments.keep)
    report("drill", figures, NOTES)
    for problem in problems[:40]:
        print(f"drill: {problem}", file=sys.stderr)
    return 1 if problems else 0


def drill(
    site: Site, arguments: argparse.Namespace, clock: SettableClock | None, disk: Path | None
) -> tuple[dict[str, float | int | None], list[str]]:
    """The figures, and what misses its target, in words."""
    managers = max(len(ROLES), arguments.clients // 4)
    tasks = round(TASKS_A_SECOND * arguments.seconds)
    print(f"{tasks:,} tasks, {arguments.clients - managers} annotators, {managers} managers", flush=True)
    made = ask_inside(site, INSIDE, what="prepare", tasks=tasks, people=arguments.clients, managers=managers)
    ledger, phases = Ledger(), Phases()
    start = time.monotonic()
    annotators = [Annotator(site.port, session, number) for number, session in enumerate(made["sessions"][:-managers])]
    for number, person in enumerate(annotators):
        person.batch, person.ledger, person.phases = made["batch"], ledger, phases
        if number < len(annotators) // 4:
            person.leaves_at = start + arguments.seconds * (0.2 + 0.6 * number / max(1, len(annotators) // 4))
    threads = [threading.Thread(target=person.run) for person in annotators]
    model = make_model(site)
    for number, session in enumerate(made["sessions"][-managers:]):
        manager, role = Manager(site, session, number, ledger, phases, model), ROLES[number % len(ROLES)]
        if number >= len(ROLES) and role == "run":
            role = "import"
        manager.slug = made["slug"]
        threads.append(threading.Thread(target=manager.every, args=(PACE[role], role)))
    for thread in threads:
        thread.start()
    faults = break_things(site, arguments, clock, disk)
    print("Faults are over; everybody finishes what is left", flush=True)
    phases.end = time.monotonic() + DRAIN_SECONDS
    phases.drained.set()
    for thread in threads:
        thread.join(DRAIN_SECONDS + 60)
    question = {"batch": made["batch"], "people": made["people"]}
    await_ends(site, question, time.monotonic() + LEASE_AND_WATCH_SECONDS)
    entries = [{"what": entry.what, **entry.facts} for entry in ledger.entries]
    checked = ask_inside(site, INSIDE, what="check", acknowledged=entries, **question)
    writes = [(entry.begin, entry.end) for entry in ledger.entries]
    outage, after = longest_outage(faults.outages_from(), writes)
    freed = faults.disk_freed
    figures: dict[str, float | int | None] = {
        "acknowledged": len(entries),
        "lost": len(checked["lost"]),
        "duplicates": len(checked["duplicates"]),
        "stuck_assignments": len(checked["assignments"]),
        "stuck_runs": len(checked["runs"]),
        "longest_outage_s": outage,
        "longest_wait_s": max(person.longest for person in annotators),
        "kills": len(faults.kills),
        "clock_jumps": faults.jumps if clock else None,
        "disk_recovery_s": None if freed is None else outage_after(freed, writes),
        "refused_507": ledger.refused[507],
        "unclear_refusals": len(ledger.unclear),
    }
    for what in ("submit", "draft", *ROLES):
        print(f"  {what}: {sum(entry['what'] == what for entry in entries):,} acknowledged")
    refused = ", ".join(f"{count} × {status}" for status, count in sorted(ledger.refused.items()))
    print(f"  refused meanwhile: {refused or 'nothing'}")
    print(f"  longest outage after: {after}")
    problems = [*ledger.failures, *faults.failures, *ledger.unclear, *checked["lost"], *checked["duplicates"]]
    for name in ("assignments", "runs", "imports"):
        problems += [f"stuck, {name}: {item}" for item in checked[name]]
    for key in ("longest_outage_s", "disk_recovery_s"):
        if (figures[key] or 0) > LONGEST_OUTAGE_SECONDS:
            problems.append(f"{key} is {figures[key]:.1f}")
    return figures, problems


def break_things(site: Site, arguments: argparse.Namespace, clock: SettableClock | None, disk: Path | None) -> Faults:
    """All faults, for as long as they last."""
    faults = Faults(site, arguments.seed, clock)
    work = [faults.kill_again_and_again, *([faults.jump_again_and_again] if clock else [])]
    threads = [threading.Thread(target=faults.guarded(what)) for what in work]
    for thread in threads:
        thread.start()
    time.sleep(arguments.seconds / 2)
    if disk is not None:
        faults.guarded(lambda: faults.fill_disk(disk))()
    time.sleep(max(0.0, arguments.seconds / 2 - DISK_FULL_SECONDS))
    faults.over.set()
    for thread in threads:
        thread.join()
    return faults


def await_ends(site: Site, question: dict, until: float) -> None:
    """Runs and imports come to their end by themselves."""
    while time.monotonic() < until:
        left = ask_inside(site, INSIDE, what="waiting", **question)
        if not left["runs"] and not left["imports"]:
            return
        time.sleep(2)


def make_model(site: Site) -> Path:
    folder = site.var / "models" / "tiny"
    command = [sys.executable, "-m", "tests.training.make_model", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder


def keep_logs(site: Site, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    logs = {path.name: path for path in (site.var / "serve.log", *(site.var / "log").glob("*.log*"))}
    for name, path in {**logs, "postgres.log": site.var / "postgres" / "log"}.items():
        with contextlib.suppress(OSError):
            (folder / name).write_bytes(path.read_bytes())


if __name__ == "__main__":
    sys.exit(main())
