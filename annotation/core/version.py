"""The version of this program, as dataset manifests and run directories record it."""

import contextlib
import subprocess
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

from django.conf import settings


@cache
def version() -> str:
    """Such as “0.1.0”, “0.1.0+3f848f4a1b2c” from a checkout, “0.1.0+3f848f4a1b2c.dirty” when it has local changes.

    Read once a process: what runs is the code that was loaded, whatever is checked out later.
    """
    commit = git_commit(Path(settings.BASE_DIR))
    return f"{package_version()}+{commit}" if commit else package_version()


def package_version() -> str:
    project = Path(settings.BASE_DIR) / "pyproject.toml"
    if project.is_file():
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version("konomi")
    return "unknown"


def git_commit(folder: Path) -> str | None:
    """Twelve characters of the commit, with “.dirty” if tracked files were changed; None without a repository.

    Where git cannot be run (not installed, or the checkout belongs to another user), the commit is read from the
    repository's files, and local changes are not detected.
    """
    if not (folder / ".git").exists():
        return None
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        described = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
        return described.replace("-dirty", ".dirty")
    return commit_from_files(folder / ".git")


def commit_from_files(git: Path) -> str | None:
    head = git / "HEAD"
    if not head.is_file():
        return None
    commit = head.read_text().strip()
    if commit.startswith("ref: "):
        name = commit.removeprefix("ref: ")
        reference, packed = git / name, git / "packed-refs"
        lines = packed.read_text().splitlines() if packed.is_file() else []
        packed_commit = next((line.split(" ")[0] for line in lines if line.endswith(f" {name}")), "")
        commit = reference.read_text().strip() if reference.is_file() else packed_commit
    return commit[:12] or None
