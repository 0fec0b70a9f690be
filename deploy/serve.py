"""Run web (gunicorn) and worker (Celery) as children of one process that starts, monitors and stops them.

The parent owns the listening socket: while a killed gunicorn is restarted, connections wait in the backlog instead of
being refused. Each child has its own process group, so that Ctrl-C reaches the parent only and the parent can kill
whatever a killed child left behind; when the parent itself is killed, its guard does. Engines run in their own sessions
and survive all of this.
"""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection, connections
from django.db.migrations.executor import MigrationExecutor
from django.template.defaultfilters import pluralize

from annotation.core.journal import seal_all
from deploy.broker import broker_problem, silence_of
from deploy.children import SECONDS_TO_STOP, child_environment, web_service, worker_service
from deploy.embedded import embedded_server
from deploy.embedded.watch import Watch
from deploy.engines import say_what_goes_on
from deploy.guard import Guard
from deploy.health import NO_DISK
from deploy.listening import CannotServe, address_of, listen, only_one
from deploy.private import UMASK, tighten
from deploy.service import Service
from deploy.status import OFTEN, last_message, status_file, write_status

Say = Callable[[str], None]

SECONDS_TO_START = 60
REPEATED = 20  # after so many more ends of the same process, its message is printed again
STEADY_SECONDS = 30  # a child that lived this long is restarted without delay
LONGEST_WAIT = 30.0  # seconds before a child that keeps exiting is started again
LONGEST_WAIT_AFTER_KILL = 2.0  # it did not choose to end: by the kernel's memory killer, say


def serve(
    *,
    host: str,
    port: int,
    workers: int,
    threads: int,
    jobs: int,
    say: Say,
    before: Callable[[], None] | None = None,
    on_ready: Callable[[str], None] | None = None,
    each_second: Callable[[], None] | None = None,
) -> None:
    """Run the site until SIGINT or SIGTERM. Raises CannotServe with one line that names the remedy.

    `workers` × `threads` requests and `jobs` background jobs are served concurrently. `before` is called when the
    database is up to date and nothing runs yet, `on_ready` once with the address when the site answers, and
    `each_second` about once a second from then on.
    """
    var = Path(settings.VAR)
    say = unfailing(say)
    with stop_requests() as stopping, only_one(var, host, port) as lock, listen(host, port) as listener:
        address = address_of(listener)
        if problem := broker_problem(settings.CELERY_BROKER_URL):
            raise CannotServe(problem)
        os.umask(UMASK)
        if told := tighten(var).sentence(var):
            say(told)
        database = None if os.environ.get("DATABASE_URL") else Watch(embedded_server(var), say)
        prepare(say)
        if before:
            before()
        connections.close_all()
        services = [
            web_service(var, listener, workers=workers, threads=threads),
            worker_service(var, jobs=jobs),
        ]
        guard = Guard(lock)
        try:
            for service in services:
                service.start()
            guard.watch(groups_of(services))
            if await_answer(services, listener, stopping):
                say(f"Konomi is at {address}  (Ctrl-C stops the site, not a training)")
                if told := silence_of(settings.CELERY_BROKER_URL):
                    say(told)
                if on_ready:
                    on_ready(address)
            watch(services, stopping, say, each_second, database, guard)
        finally:
            say("Stopping …")
            say_what_goes_on(say)
            connections.close_all()
            stop(services)
            guard.close()
            status_file().unlink(missing_ok=True)
    say("Stopped.")


def prepare(say: Say) -> None:
    """Bring the database and the static files up to date."""
    collecting = subprocess.Popen(
        [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity=0"],
        cwd=settings.BASE_DIR,
        env=child_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        process_group=0,
    )
    executor = MigrationExecutor(connection)
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if pending:
        say(f"Bringing the database up to date ({len(pending)} migration{pluralize(pending)}) …")
        call_command("migrate", interactive=False, verbosity=0)
    seal_all()  # what was recorded before the site was stopped, or by a version without seals
    output, _ = collecting.communicate()
    if collecting.returncode:
        raise CannotServe(f"The static files cannot be collected:\n{output.decode(errors='replace').strip()[-2000:]}")


def await_answer(services: list[Service], listener: socket.socket, stopping: list[int]) -> bool:
    """Wait for /healthz to answer 200, and return True; return False when asked to stop before that."""
    deadline = time.monotonic() + SECONDS_TO_START
    while not stopping:
        for service in services:
            if service.process is not None and service.process.poll() is not None:
                raise CannotServe(
                    f"The {service.name} process does not start; {service.log} ends with:\n" + service.log_tail()
                )
        if healthy(listener):
            return True
        if time.monotonic() > deadline:
            raise CannotServe(
                f"The site does not answer after {SECONDS_TO_START} s; {services[0].log} ends with:\n"
                + services[0].log_tail()
            )
        time.sleep(0.1)
    return False


def healthy(listener: socket.socket, timeout: float = 2.0) -> bool:
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"  # noqa: S104
    name = next((name.lstrip(".") for name in settings.ALLOWED_HOSTS if name != "*"), "localhost")
    client = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        client.request("GET", "/healthz", headers={"Host": name})
        answer = client.getresponse()
        # A full disk is no reason to stay down: pages are read, and freeing space may need them.
        return answer.status == http.HTTPStatus.OK or answer.read() == NO_DISK.encode()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        client.close()


def watch(
    services: list[Service],
    stopping: list[int],
    say: Say,
    each_second: Callable[[], None] | None = None,
    database: Callable[[], None] | None = None,
    guard: Guard | None = None,
) -> None:
    """Until asked to stop, restart children that exit: at once the first time, then after increasing delays.

    `database` does the same for the embedded server, which is not a child: it outlives a killed `serve`. `guard` is
    told of every process group that must not.
    """
    next_call = time.monotonic() + 1
    changed = True
    while not stopping:
        now = time.monotonic()
        if database:
            database()
        for service in services:
            service.kill_orphans()
            service.bound_log()
            if service.process is not None and (code := service.process.poll()) is not None:
                note_end(service, code, now)
                pause = f" in {service.wait:.0f} s" if service.wait else ""
                say(f"The {service.name} process {service.ended}; starting it again{pause}. Its log: {service.log}")
                if service.failures == OFTEN or (service.failures > OFTEN and service.failures % REPEATED == 0):
                    say(
                        f"The {service.name} process has ended {service.failures} times in a row soon after its start. "
                        "Its last message:\n" + indented(service.message or "(none)")
                    )
                changed = True
            elif service.failures and service.process is not None and now - service.started > STEADY_SECONDS:
                service.failures, changed = 0, True
            if service.process is None and now >= service.due:
                service.start()
                changed = True
        if guard:
            guard.watch(groups_of(services))
        if changed:
            report_status(services)
            changed = False
        if each_second and now >= next_call:
            with contextlib.suppress(DatabaseError):  # killed this very moment, and about to be started again
                each_second()
            next_call = now + 1
        time.sleep(0.2)


def groups_of(services: list[Service]) -> list[int]:
    return [group for service in services for group in service.groups]


def note_end(service: Service, code: int, now: float) -> None:
    """Keep how a child ended and what it said, and decide when it is started again."""
    service.ended = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    service.message = last_message(service.log, service.log_start)
    service.retire()
    if now - service.started > STEADY_SECONDS:
        service.failures, service.wait = 0, 0.0
    else:
        service.failures += 1
        longest = LONGEST_WAIT_AFTER_KILL if code == -signal.SIGKILL else LONGEST_WAIT
        service.wait = min(max(1.0, service.wait * 2), longest)
    service.due = now + service.wait


def report_status(services: list[Service]) -> None:
    with contextlib.suppress(OSError):  # a full disk: the console has said it
        write_status([service.status() for service in services])


def unfailing(say: Say) -> Say:
    """A console that cannot be written (a file on a full disk, a terminal that was closed) ends no site."""

    def said(text: str) -> None:
        with contextlib.suppress(OSError):
            say(text)

    return said


def indented(text: str) -> str:
    return "\n".join("    " + line for line in text.splitlines())


def stop(services: list[Service]) -> None:
    """Stop all children: with SIGTERM, then SIGQUIT, then SIGKILL. Takes at most SECONDS_TO_STOP."""
    start = time.monotonic()
    has_sent_quit = False
    for service in services:
        service.signal(signal.SIGTERM)
    while any(service.process is not None and service.process.poll() is None for service in services):
        elapsed = time.monotonic() - start
        if elapsed > SECONDS_TO_STOP / 2 and not has_sent_quit:
            has_sent_quit = True
            for service in services:
                service.signal(signal.SIGQUIT)  # gunicorn and Celery: do not wait for requests and jobs
        if elapsed > SECONDS_TO_STOP:
            break
        time.sleep(0.05)
    for service in services:
        service.kill()


@contextlib.contextmanager
def stop_requests() -> Iterator[list[int]]:
    """Yield the list of stop signals received so far. Works even if the shell started us with SIGINT ignored."""
    received: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        received.append(number)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, remember) for number in numbers}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
