"""Check that frozen datasets are what their sha256 says."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotation.datasets.verify import verify_datasets
from annotation.models import DatasetVersion


class Command(BaseCommand):
    help = (
        "Check each frozen dataset against its sha256; exits with 1 where one is broken. Of a dataset whose files were "
        "removed after a withdrawal of consent, the recorded hashes of its files are checked."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--project", metavar="SLUG", help="only this project's datasets")

    def handle(self, *args: Any, project: str | None, **options: Any) -> None:
        versions = DatasetVersion.objects.order_by("pk")
        if project:
            versions = versions.filter(project__slug=project)
        broken = 0
        for row in verify_datasets(versions.iterator(chunk_size=100)):
            broken += bool(row.faults)
            state = "; ".join(row.faults) or ("files removed after a withdrawal" if row.removed else "unchanged")
            self.stdout.write(f"dataset {row.version.pk} ({row.version.sha256[:16]}…): {state}")
        if broken:
            raise CommandError(f"broken datasets: {broken}")
