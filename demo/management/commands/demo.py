"""manage.py demo: the site with the hotel concierge's demonstration in it."""

import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from annotation.core.errors import DomainError
from demo.accounts import Account
from demo.concierge import CONCIERGE
from demo.seed import base_run, seed
from deploy.listening import CannotServe
from deploy.management.commands.serve import add_serve_arguments, serve_options
from deploy.serve import prepare, serve
from training.models import Run

PROGRESS_SECONDS = 10


class Command(BaseCommand):
    help = (
        "Start the site with a demonstration: a hotel concierge who answers reviews, four accounts, tasks of all four "
        "kinds, and a small base model that is trained in the background the first time. What is there already stays."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_serve_arguments(parser)
        parser.add_argument("--set-up-only", action="store_true", help="set the demonstration up, and start nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.PRODUCTION:
            raise CommandError("the demonstration's accounts do not belong in production (KONOMI_PRODUCTION=1)")
        self.people: list[Account] = []
        self.told: tuple[str, float] = ("", 0.0)
        try:
            if options["set_up_only"]:
                prepare(self.say)
                self.set_up()
                self.say(f"{len(self.people)} accounts and 2 projects are ready")
                return
            serve(
                say=self.say,
                before=self.set_up,
                on_ready=self.introduce,
                each_second=self.report_base_model,
                **serve_options(options),
            )
        except (CannotServe, DomainError) as error:
            raise CommandError(str(error)) from error

    def say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()

    def set_up(self) -> None:
        self.people = seed(self.say)

    def introduce(self, address: str) -> None:
        width = max(len(person.email) for person in self.people)
        lines = ["", "Sign in as one of:"]
        for person in self.people:
            role = person.role or "administrator"
            password = person.password or "(the password was changed)"
            lines.append(f"  {role:<13}  {person.email:<{width}}  {password}")
        lines += [
            "",
            "Then, for example:",
            f"  1. As the annotator, choose between ten pairs of answers: {address}/projects/{CONCIERGE}/",
            "  2. In another terminal, let three simulated annotators do the rest:",
            f"       .venv/bin/python manage.py simulate {CONCIERGE}",
            "  3. As the manager, freeze a dataset, train, compare, start the next round (docs/demo.md shows how).",
            "",
        ]
        self.say("\n".join(lines))

    def report_base_model(self) -> None:
        """A line when the base model's training starts, progresses and ends."""
        status, at = self.told
        if status in (Run.Status.SUCCEEDED, Run.Status.FAILED, Run.Status.CANCELLED):
            return
        run = base_run()
        if run is None:
            return
        waited = time.monotonic() - at
        if run.status == status and (status != Run.Status.RUNNING or waited < PROGRESS_SECONDS):
            return
        self.told = (run.status, time.monotonic())
        if run.status == Run.Status.RUNNING:
            rows, _ = run.directory.read_metrics()
            steps = [row for row in rows if "loss" in row]
            if steps:
                last, most = steps[-1], run.config["max_seconds"]
                self.say(f"Base model: loss {last['loss']:.2f}, about {min(last['time_left_s'], most):.0f} s left")
            elif status != run.status:
                self.say("Base model: training has started (about a minute and a half; the site can be used meanwhile)")
        elif run.status == Run.Status.SUCCEEDED:
            self.say(f"Base model: ready, as checkpoint {run.checkpoint.pk}. SFT and DPO can start from it.")
        elif run.status != Run.Status.QUEUED:
            self.say(
                f"Base model: {run.get_status_display().lower()}. {run.error.partition(chr(10))[0]} "
                f"Resume it on its page: run {run.pk} of the project."
            )
