"""Check that nobody changed or deleted a recorded event (see `annotation.core.journal`)."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotation.core import journal


class Command(BaseCommand):
    help = "Check the hash chains over all recorded events; exits with 1 where an event was changed or deleted."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--seal", action="store_true", help="seal new events first, as the worker does every minute"
        )
        parser.add_argument(
            "--heads", type=Path, metavar="FILE", help="write the chains' last hashes, to keep elsewhere"
        )
        parser.add_argument("--expect", type=Path, metavar="FILE", help="compare with hashes that --heads wrote before")

    def handle(self, *, seal: bool, heads: Path | None, expect: Path | None, **options: Any) -> None:
        if seal:
            self.stdout.write(f"events sealed: {journal.seal_all():,}")
        chains = []
        for chain in journal.verify(read_heads(expect) if expect else None):
            chains.append(chain)
            state = "; ".join(chain.faults) or "unchanged"
            if chain.redacted:
                state += f"; seals with texts erased after a withdrawal of consent: {chain.redacted:,}"
            waiting = f", waiting {chain.waiting:,}" if chain.waiting else ""
            self.stdout.write(
                f"{chain.name}: events {chain.events:,}, seals {chain.seals:,}{waiting}: {state}"
                + (f" (head {chain.head[:16]}…)" if chain.head else "")
            )
        if heads:
            heads.write_text(json.dumps(journal.heads(chains), indent=2) + "\n")
            self.stdout.write(f"The heads are in {heads}")
        if any(chain.faults for chain in chains):
            raise CommandError("The journal was changed, or is not sealed: see the lines above")


def read_heads(path: Path) -> dict[str, dict[str, Any]]:
    try:
        found = json.loads(path.read_text())
        return {str(name): {"seals": int(head["seals"]), "sha256": str(head["sha256"])} for name, head in found.items()}
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CommandError(f"{path} is not a file that verify_events --heads wrote") from error
