import time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from training.models import EngineJob
from training.supervision import launch


class Command(BaseCommand):
    help = "Start waiting engine jobs and take in the endings of running ones, as the worker does every 5 seconds."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="look once, then end")
        parser.add_argument("--until-idle", action="store_true", help="end when nothing waits or runs any more")
        parser.add_argument("--every", type=float, default=5.0, metavar="SECONDS", help="between two looks; default 5")

    def handle(self, *args: Any, **options: Any) -> None:
        while True:
            launch.watch_engine_jobs()
            waiting = launch.count(EngineJob.Status.QUEUED)
            running = launch.count(EngineJob.Status.RUNNING)
            if options["once"] or (options["until_idle"] and not waiting + running):
                break
            time.sleep(options["every"])
        self.stdout.write(f"engine jobs: {running} running, {waiting} waiting")
