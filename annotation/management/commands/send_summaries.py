"""Send the weekly summaries that are due."""

from typing import Any

from django.core.management.base import BaseCommand

from annotation.dashboards.summaries import send_summaries


class Command(BaseCommand):
    help = "Send the weekly summaries that are due: on Mondays, to those who asked for them. The site does so."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{send_summaries():,} sent")
