"""Delete the files of exports of answers that are older than a week."""

from typing import Any

from django.core.management.base import BaseCommand
from django.template.defaultfilters import pluralize

from annotation.exchange.requests import DAYS_KEPT, delete_old_exports


class Command(BaseCommand):
    help = f"Delete the files of exports of answers after {DAYS_KEPT} days. The site does so every hour."

    def handle(self, *args: Any, **options: Any) -> None:
        count = delete_old_exports()
        self.stdout.write(f"{count:,} file{pluralize(count)} deleted")
