"""A site's processes, to be killed with -9."""

import contextlib
from pathlib import Path

import psutil

from deploy.embedded.processes import backends, postmaster
from tests.site import Site


def kill(process: psutil.Process | None) -> bool:
    """Whether it was alive, and is not any more."""
    if process is None:
        return False
    try:
        process.kill()
    except psutil.Error:
        return False
    return True


def database_folder(site: Site) -> Path:
    return (site.var / "postgres").resolve()


def database(site: Site) -> list[psutil.Process]:
    """The postmaster of the site's embedded server."""
    process = postmaster(database_folder(site))
    return [process] if process else []


def database_connections(site: Site) -> list[psutil.Process]:
    """The children of the postmaster. When one is killed, PostgreSQL itself ends the others and recovers."""
    parents = {process.pid for process in database(site)}
    found = []
    for process in backends(database_folder(site)):
        with contextlib.suppress(psutil.Error):
            if process.ppid() in parents:
                found.append(process)
    return found


def service(site: Site, word: str) -> list[psutil.Process]:
    """The child of `serve` whose command line has the word."""
    return [process for process in _children(site) if word in _line(process)]


def service_children(site: Site, word: str) -> list[psutil.Process]:
    """The processes that this child of `serve` has started."""
    found = []
    for parent in service(site, word):
        with contextlib.suppress(psutil.Error):
            found += [process for process in parent.children() if word in _line(process)]
    return found


def engines(site: Site) -> list[psutil.Process]:
    """Training, generation and evaluation: they name their folder on the command line."""
    folders = tuple(f"{site.var}/{name}/" for name in ("runs", "generations", "evaluations"))
    return [process for process in psutil.process_iter() if any(folder in _line(process) for folder in folders)]


def _children(site: Site) -> list[psutil.Process]:
    assert site.process is not None
    with contextlib.suppress(psutil.Error):
        return psutil.Process(site.process.pid).children()
    return []


def _line(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""
