"""The embedded server is watched like web and worker."""

import subprocess
import time
from collections.abc import Callable

from deploy.embedded.server import CannotStart, Server
from deploy.log_files import bound_log

LONGEST_WAIT = 4.0  # seconds; it cannot start while the disk is full, and people wait for it when there is space


class Watch:
    """Supervision of the embedded server by `manage.py serve`: call it a few times a second."""

    def __init__(self, server: Server, say: Callable[[str], None]) -> None:
        self.server, self.say = server, say
        self.older_log = server.pgdata.parent / "log" / "postgres.log.1"  # of the site: not in the server's own folder
        self.wait, self.due = 0.0, 0.0

    def __call__(self) -> None:
        bound_log(self.server.log, self.older_log)
        alive = self.server.is_alive()
        if alive and self.server.has_socket():
            return
        now = time.monotonic()
        if now < self.due:
            return
        if alive:  # by what clears temporary folders: only a start makes it again
            self.say("The socket of PostgreSQL was deleted, and nobody can connect; starting PostgreSQL again.")
        elif not self.wait:
            self.say(f"PostgreSQL has ended, or was killed; starting it again. Its log: {self.server.log}")
        try:
            self.server.start_again()
        except (CannotStart, OSError, ValueError, subprocess.SubprocessError) as error:  # a full disk raises anywhere
            self.wait = min(max(1.0, self.wait * 2), LONGEST_WAIT)
            self.due = time.monotonic() + self.wait
            self.say(f"{error}\nTrying again in {self.wait:.0f} s.")
        else:
            self.wait = self.due = 0.0
            self.say(f"PostgreSQL is back after {time.monotonic() - now:.1f} s; nothing that was confirmed is lost.")
