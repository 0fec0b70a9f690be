"""What the files of a model folder may be, before anything reads them: one rule for the site, the jobs and the engines.

A model folder comes from elsewhere. Its files are read by libraries that follow every link, and some of them (chat
templates, tokenizers) are copied into what a run publishes. So each name in the folder, however deep, has to be a
plain file or a folder, and a link has to stay within the folder, the hub's cache that the folder belongs to, or the
roots that the operator allows. Free of Django and torch.
"""

import json
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from training.contract.errors import ModelError

# The site passes its roots to the engines it starts, separated as in PATH.
ROOTS_VARIABLE = "KONOMI_ENGINE_MODEL_ROOTS"
LONGEST_NAME = 4096
# An index of shards takes a few megabytes; what is larger is no description of a model.
LARGEST_JSON = 64 << 20


def roots_for_engines(roots: Sequence[Path]) -> str:
    return os.pathsep.join(map(str, roots))


def roots_of_environment() -> list[Path] | None:
    """The roots that the site named; None for an engine that a person starts, whose links are their own affair."""
    given = os.environ.get(ROOTS_VARIABLE)
    return None if given is None else [Path(root) for root in given.split(os.pathsep) if root]


def check_name(name: str) -> None:
    """Raises ModelError for a name that no file system takes: with a NUL or control characters, or too long."""
    if not name.isprintable():
        raise ModelError(f"the model's name {name[:100]!r} holds control characters: give the folder's path")
    if len(os.fsencode(name)) > LONGEST_NAME:
        raise ModelError(f"the model's name is longer than {LONGEST_NAME:,} bytes ({name[:60]!r} …)")


def real(path: Path) -> Path:
    """The path without links. Raises ModelError where links lead round in a circle, or a name is too long."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise ModelError(f"{str(path)[:200]!r} cannot be followed: {error}") from error


def check(folder: Path, roots: Sequence[Path] | None) -> None:
    """Raises ModelError for a file in the folder, at any depth, that is a link to somewhere else or no plain file.

    `roots`: where links may lead besides the folder itself and its hub's cache; None: anywhere.
    """
    folder = Path(os.path.abspath(folder))
    allowed = [real(folder), *(real(root) for root in roots or ())]
    if folder.parent.name == "snapshots":  # models--publisher--model/snapshots/<commit>, of links into ../../blobs
        allowed.append(real(folder.parent.parent))
    for path in _entries(folder, through_links=roots is not None):
        target = real(path) if path.is_symlink() else path
        if roots is not None and target != path and not any(target.is_relative_to(place) for place in allowed):
            where = ", ".join(map(str, roots)) or "the folder"
            raise ModelError(
                f"{path} is a link that points outside of {where}: put the file itself in its place, or remove it"
            )
        try:
            kind = target.stat().st_mode
        except OSError as error:
            raise ModelError(f"{path} leads to nothing ({error.strerror}): restore it, or remove it") from error
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
            raise ModelError(f"{path} is neither a file nor a folder: remove it")


def _entries(folder: Path, *, through_links: bool) -> Iterator[Path]:
    """All names below a folder and, through links, below the folders they lead to: libraries read those as well."""

    def fail(error: OSError) -> None:
        raise ModelError(f"{error.filename} cannot be read: {error.strerror}") from error

    waiting, seen = [folder], {real(folder)}
    while waiting:
        for at, folders, files in os.walk(waiting.pop(), onerror=fail):
            for name in (*folders, *files):
                path = Path(at) / name
                yield path  # the caller stops at a link that leads elsewhere, before anything is looked for there
                if through_links and path.is_symlink() and path.is_dir() and (target := real(path)) not in seen:
                    seen.add(target)
                    waiting.append(target)


def read_json(file: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises ModelError where it cannot be read, is too large or nested, or is no object."""
    try:
        if file.stat().st_size > LARGEST_JSON:
            raise ModelError(f"{file} is larger than {LARGEST_JSON >> 20} MB: not a description of a model")
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} cannot be read: {error}") from error
    except RecursionError as error:
        raise ModelError(f"{file} cannot be read: its values are nested too deeply") from error
    if not isinstance(content, dict):
        raise ModelError(f"{file} holds no JSON object")
    return content
