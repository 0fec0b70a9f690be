"""manage.py serve: run the complete site, web and worker."""

import os
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from deploy.listening import CannotServe
from deploy.serve import serve


class Command(BaseCommand):
    help = (
        "Start the site: the database (embedded unless DATABASE_URL is set), the web server and the background "
        "worker. Brings the database and the static files up to date first, restarts what exits, and stops "
        "all of it on Ctrl-C. Engines that run go on; they are named, with the way to stop them. Logs are in var/log."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_serve_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            serve(say=self.say, **serve_options(options))
        except CannotServe as error:
            raise CommandError(str(error)) from error

    def say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def add_serve_arguments(parser: ArgumentParser) -> None:
    host = os.environ.get("KONOMI_HOST", "127.0.0.1")
    port = int(os.environ.get("KONOMI_PORT", "8000"))
    parser.add_argument("--host", default=host, help="address to listen on; 0.0.0.0 for all (default: %(default)s)")
    parser.add_argument("--port", type=int, default=port, help="0 takes any free port (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="web processes (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=4, help="threads in each of them (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="background jobs at a time (default: %(default)s)")


def serve_options(options: dict[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in ("host", "port", "workers", "threads", "jobs")}
