import time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from training.models import EngineJob
from training.supervision import launch


class Command(BaseCommand):
    help = "Start queued engine jobs and process the results of finished ones, as the worker does every 5 seconds."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="check once, then exit")
        parser.add_argument("--until-idle", action="store_true", help="exit when no job is queued or running")
        parser.add_argument(
            "--every", type=float, default=5.0, metavar="SECONDS", help="interval between checks; default 5"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        while True:
            launch.watch_engine_jobs()
            waiting = launch.count(EngineJob.Status.QUEUED)
            running = launch.count(EngineJob.Status.RUNNING)
            if options["once"] or (options["until_idle"] and not waiting + running):
                break
            time.sleep(options["every"])
        self.stdout.write(f"engine jobs: {running} running, {waiting} waiting")
