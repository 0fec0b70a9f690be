from typing import Any

from django.core.management.base import BaseCommand
from django.template.defaultfilters import pluralize

from annotation.queue.claims import expire_leases


class Command(BaseCommand):
    help = (
        "Return every task whose lease ran out to its queue. The worker does this each minute by itself; "
        "this is for a site that runs without one."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        count = expire_leases()
        self.stdout.write(f"returned: {count} task{pluralize(count)} whose lease ran out")
