from typing import Any

from django.core.management.base import BaseCommand
from django.template.defaultfilters import pluralize

from annotation.members.attempt_counters import forget_future_attempts
from annotation.queue.claims import expire_leases, release_left


class Command(BaseCommand):
    help = (
        "Return every task whose lease ran out, or whose annotator has left, to its queue, and forget attempts to sign "
        "in that were counted while the clock was ahead. The worker does this each minute by itself; "
        "this is for a site that runs without one."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        count = expire_leases()
        self.stdout.write(f"returned: {count} task{pluralize(count)} whose lease ran out")
        if left := release_left():
            self.stdout.write(f"returned: {left} task{pluralize(left)} of people who left")
        if future := forget_future_attempts():
            self.stdout.write(f"forgotten: {future} counter{pluralize(future)} of sign-in attempts from the future")
