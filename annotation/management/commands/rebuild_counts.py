"""Check, fold or rebuild the counts that dashboards read (see `annotation.core.counts`)."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotation.core import counts
from annotation.models import Project

SHOWN = 20


class Command(BaseCommand):
    help = "Count slots, answers and working time again for the dashboards; people may go on working meanwhile."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--project", metavar="SLUG", help="only this project (default: all)")
        action = parser.add_mutually_exclusive_group()
        action.add_argument(
            "--check", action="store_true", help="change nothing; exit with 1 where a count differs from a recount"
        )
        action.add_argument(
            "--fold", action="store_true", help="only fold the latest differences into sums, as the worker does"
        )

    def handle(self, *, project: str | None, check: bool, fold: bool, **options: Any) -> None:
        if fold:
            if project:
                raise CommandError("--fold is for all projects: leave --project out")
            self.stdout.write(f"differences folded: {counts.fold_counts():,}")
            return
        row = Project.objects.filter(slug=project).first() if project else None
        if project and row is None:
            raise CommandError(f"There is no project {project}")
        found = counts.differences(row.pk if row else None)
        for item in found[:SHOWN]:
            self.stdout.write(f"{item.table}: {item.key}: stored {item.stored or '0'}; counted {item.counted or '0'}")
        if len(found) > SHOWN:
            self.stdout.write(f"… and {len(found) - SHOWN:,} more")
        if not check:
            rows = counts.rebuild_counts(row.pk if row else None)
            self.stdout.write(f"counts that differed: {len(found):,}; sums written: {rows:,}")
        elif found:
            raise CommandError(f"{len(found):,} counts differ from a recount: run rebuild_counts without --check")
        else:
            self.stdout.write("Every count equals a recount.")
