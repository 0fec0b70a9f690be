import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from annotation.queue.workforce import recorded_shortage
from training.cli.progress import (
    SAMPLING,
    add_sampling_arguments,
    chosen_options,
    get_project,
    plain_errors,
    wait_for,
)
from training.contract.wording import counted
from training.models import Round
from training.rounds.lifecycle import DEFAULT_PROMPTS, current_round, open_batches_before, retry_round, start_round


class Command(BaseCommand):
    help = (
        "Start the next round: fresh prompts, texts of the promoted checkpoint and its parent, and a blind batch in "
        "which people choose between the two. Exit code 0: the batch is open, 1: failed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", help="the project's slug")
        parser.add_argument("--prompts", type=int, default=DEFAULT_PROMPTS, help="how many; default %(default)s")
        parser.add_argument(
            "--reuse-prompts", action="store_true", help="reuse prompts that had a task when fresh ones run out"
        )
        parser.add_argument("--overlap", type=int, help="how many people do each task (default: the project's)")
        parser.add_argument(
            "--keep-batches-open",
            action="store_true",
            help="leave the open batches of earlier rounds open; default: they are closed when the new batch opens",
        )
        parser.add_argument(
            "--retry", action="store_true", help="retry the failed round, keeping its finished generations"
        )
        parser.add_argument("--no-wait", action="store_true", help="do not wait; the worker runs the generations")
        add_sampling_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        project = get_project(options["project"])
        with plain_errors():
            if options["retry"]:
                started = retry_round(round=current_round(project), actor=None)
            else:
                started = start_round(
                    project=project,
                    actor=None,
                    prompts=options["prompts"],
                    reuse=options["reuse_prompts"],
                    overlap=options["overlap"],
                    options=chosen_options(options, SAMPLING),
                    close_batches=not options["keep_batches_open"],
                )
        to_close = list(open_batches_before(project, started.number)) if started.settings.get("close_batches") else []
        if not options["no_wait"]:
            for generation in started.generations.order_by("id"):
                wait_for(generation, self.stdout)
        started.refresh_from_db()
        batch = started.batches.order_by("-id").first()
        if started.status == Round.Status.FAILED:
            self.stderr.write(started.error)
        made = f", batch {batch.pk} with {counted(batch.tasks.count(), 'task')}" if batch else ""
        self.stdout.write(f"round {started.number}: {started.get_status_display().lower()}{made}")
        if batch and (sentence := recorded_shortage(batch)):
            self.stderr.write(sentence)
        for row in to_close:
            row.refresh_from_db()
            state = "closed" if row.status == row.Status.CLOSED else "will be closed when the new batch opens"
            self.stdout.write(f"batch {row.pk} ({row.name}) of an earlier round: {state}")
        if started.status == Round.Status.FAILED:
            sys.exit(1)
