"""What `manage.py serve` knows of the processes it runs, for the page of administrators: var/services.json."""

import json
import time
from pathlib import Path
from typing import Any

from django.conf import settings

from training.contract.run_directory import write_atomically

OFTEN = 3  # ends in a row, each soon after its start, from which on a process is reported with its last message
SHOWN_LINES, SHOWN_CHARACTERS = 6, 1200


def status_file() -> Path:
    return Path(settings.VAR) / "services.json"


def write_status(rows: list[dict[str, Any]]) -> None:
    write_atomically(status_file(), json.dumps({"written": time.time(), "services": rows}))


def read_status() -> list[dict[str, Any]]:
    """One row a process: name, is_running, since, ended, failures, message, log. Empty where `serve` does not run."""
    try:
        return list(json.loads(status_file().read_text())["services"])
    except (OSError, ValueError, KeyError, TypeError):
        return []


def last_message(log: Path, start: int) -> str:
    """The end of what a process wrote to its log, which had `start` bytes before: a few lines, without blank ones."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(start if start <= size else 0, size - 8000))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return "\n".join(lines[-SHOWN_LINES:])[-SHOWN_CHARACTERS:]
