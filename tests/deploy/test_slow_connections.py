"""Clients that are slow, idle or broken hold no thread: the site answers everybody else at once."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
MANY = 40  # more than twice the threads of the server below
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
APPLICATION = """
import time

def application(environ, start_response):
    path, body = environ["PATH_INFO"], b"ok"
    if path == "/slow":
        time.sleep(0.3)
    if path == "/large":
        body = b"x" * 50_000_000
    if environ["REQUEST_METHOD"] == "POST" and path != "/unread":
        body = b"%d" % len(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


class Server:
    def __init__(self, folder: Path, **seconds: float) -> None:
        (folder / "app.py").write_text(APPLICATION)
        limits = "".join(f"w.{name} = {value}\n" for name, value in seconds.items())
        (folder / "conf.py").write_text(f"import deploy.web_worker as w\n{limits}")
        self.log = folder / "log"
        with socket.create_server(("127.0.0.1", 0), backlog=256) as listener, self.log.open("wb") as log:
            self.port = listener.getsockname()[1]
            command = f"-m gunicorn app --bind fd://{listener.fileno()} --workers 2 --threads 4 --config conf.py"
            options = "--worker-class deploy.web_worker.BufferingWorker --keep-alive 30 --graceful-timeout 60"
            self.process = subprocess.Popen(
                [sys.executable, *f"{command} {options} --no-control-socket --log-level warning".split()],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": f"{ROOT}:{folder}"},
                pass_fds=[listener.fileno()],
                stdout=log,
                stderr=log,
            )
        self.open: list[socket.socket] = []

    def connect(self, sent: bytes = b"") -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        connection.sendall(sent)
        self.open.append(connection)
        return connection

    def seconds(self, path: str = "/") -> float:
        begun = time.monotonic()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            assert answer.status == 200
        return time.monotonic() - begun

    def close_all(self) -> None:
        for connection in self.open:
            connection.close()
        self.open.clear()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Times are shorter than in life."""
    limits = {"HEAD_SECONDS": 1.2, "STALL_SECONDS": 2.0, "CLOSING_SECONDS": 1.0, "SLOWEST": 50_000}
    running = Server(tmp_path_factory.mktemp("server"), **limits)
    running.seconds()
    yield running
    running.close_all()
    running.process.terminate()
    running.process.wait(20)


@pytest.fixture(scope="module")
def patient(tmp_path_factory):
    """Whoever waits for one of its slow clients waits a minute: what is answered at once did not wait, however slow
    the machine."""
    running = Server(tmp_path_factory.mktemp("patient"), HEAD_SECONDS=60, STALL_SECONDS=60, CLOSING_SECONDS=60)
    running.seconds()
    yield running
    running.close_all()
    running.process.terminate()
    running.process.wait(20)


SOON = 20  # seconds


def received(connection: socket.socket, seconds: float = 10) -> bytes:
    connection.settimeout(seconds)
    pieces = []
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(1 << 16):
            pieces.append(piece)
    return b"".join(pieces)


POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
STARTS = {
    "nothing": b"",
    "part of the first line": b"GE",
    "headers without an end": b"GET / HTTP/1.1\r\nHost: x\r\nX-A: b\r\n",
    "no body yet": POST + b"Content-Length: 1000\r\n\r\n",
    "a part of the body": POST + b"Content-Length: 1000\r\n\r\n" + b"a" * 999,
    "a large body": POST + b"Content-Length: 10000000\r\n\r\n" + b"a" * 999,
    "a body in chunks": POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc",
    "a body that waits to be asked": POST + b"Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n",
    "an answer that is not read": b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n",
    "a second request, half": GET + b"GET / HTT",
    "an end that the client does not take": b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
}


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_many_slow_connections_do_not_stop_the_site(patient, start):
    # A thread sends large answers, fewer than there are threads; large bodies wait for one another.
    for _ in range(3 if b"GET /large" in start else 12 if b"10000000" in start else MANY):
        patient.connect(start)
    time.sleep(0.3)
    assert max(patient.seconds() for _ in range(10)) < SOON
    patient.close_all()


UNFINISHED = {name: start for name, start in STARTS.items() if b"/large" not in start}


@pytest.mark.parametrize("start", UNFINISHED.values(), ids=UNFINISHED)
def test_what_has_no_request_within_its_time_is_closed(server, start):
    connections = [server.connect(start) for _ in range(12 if b"10000000" in start else MANY)]
    for connection in connections[::13]:
        received(connection, 60)
    server.close_all()


@pytest.mark.parametrize("start", [STARTS["part of the first line"], STARTS["a part of the body"]])
def test_a_request_that_does_not_come_to_its_end_is_answered_with_408(server, start):
    assert received(server.connect(start)).startswith(b"HTTP/1.1 408 ")


def dribble(connection: socket.socket, drop: bytes) -> None:
    for _ in range(900):
        connection.sendall(drop)
        time.sleep(0.05)


def test_drop_by_drop_is_not_fast_enough(server):
    for length, drop in ((1000, b"a"), (1_000_000, b"a" * 100)):
        connection = server.connect(POST + b"Content-Length: %d\r\n\r\n" % length)
        with pytest.raises(OSError):
            dribble(connection, drop)


def test_endless_headers_are_refused(server):
    assert received(server.connect(b"GET / HTTP/1.1\r\n" + b"A: " + b"b" * 70_000)).startswith(b"HTTP/1.1 431 ")
    assert received(server.connect(b"GET /" + b"b" * 9000 + b" HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 414 ")


MALFORMED = {
    "another version": b"GET / HTTP/3.0\r\nHost: x\r\n\r\n",
    "no method": b"\x16\x03\x01\x02 / HTTP/1.1\r\n\r\n",
    "a small method": GET.lower().replace(b"http", b"HTTP"),
    "a NUL in the address": b"GET /?a=\0 HTTP/1.1\r\nHost: x\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "a header over two lines": b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
    "a length in words": POST + b"Content-Length: five\r\n\r\n",
    "a length of 5,000 digits": POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "two lengths": POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\na",
    "an unknown coding": POST + b"Transfer-Encoding: chunked, x\r\n\r\n",
    "a long address": b"GET /" + b"b" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "many headers": GET[:-2] + b"A: b\r\n" * 200 + b"\r\n",
    "endless headers": b"GET / HTTP/1.1\r\n" + b"A: " + b"b" * 70_000,
    "too slow": b"GE",
}


@pytest.mark.parametrize("request_", MALFORMED.values(), ids=MALFORMED)
def test_what_the_server_refuses_has_the_headers_of_every_answer(server, request_):
    head, _, body = received(server.connect(request_)).partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert re.match(rb"HTTP/1.1 (4\d\d|501) ", lines[0]), lines[0]
    assert {b"X-Frame-Options: DENY", b"X-Content-Type-Options: nosniff"} <= set(lines)
    assert b"Content-Security-Policy: default-src 'none'; frame-ancestors 'none'" in lines
    assert b"Content-Length: %d" % len(body) in lines


@pytest.mark.parametrize("size", [0, 1, 1000, 256 * 1024, 256 * 1024 + 1, 20_000_000])
@pytest.mark.parametrize("piece", [1 << 20, 100_000])
def test_bodies_arrive_whole(server, size, piece):
    connection = server.connect(POST + f"Connection: close\r\nContent-Length: {size}\r\n\r\n".encode())
    body = b"a" * size
    for place in range(0, size, piece):
        connection.sendall(body[place : place + piece])
    assert received(connection).endswith(f"\r\n\r\n{size}".encode())


def test_requests_one_after_another_on_a_connection(server):
    """Kept alive, sent together, cut anywhere: each gets its answer, in order."""
    one = POST + b"Content-Length: 5\r\n\r\nabcde"
    stream = one + GET + one.replace(b"5\r\n", b"3\r\n").replace(b"abcde", b"abc")
    stream += GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    for cut in range(1, len(stream), 7):
        connection = server.connect(stream[:cut])
        time.sleep(0.002)
        connection.sendall(stream[cut:])
        answers = received(connection)
        assert answers.count(b"HTTP/1.1 200 OK") == 4, cut
        assert [part.partition(b"HTTP")[0] for part in answers.split(b"\r\n\r\n")[1:]] == [b"5", b"ok", b"3", b"ok"]
        connection.close()


def test_large_uploads_leave_a_thread_to_the_others(patient):
    """Three of four threads a process at most; the others wait for their turn, and all of them arrive."""
    size = 600_000
    head = POST + f"Connection: close\r\nContent-Length: {size}\r\n\r\n".encode()
    uploads = [patient.connect(head + b"a" * 300_000) for _ in range(12)]
    assert max(patient.seconds() for _ in range(5)) < SOON
    for upload in uploads:
        upload.sendall(b"a" * 300_000)
    assert [received(upload, 60).endswith(b"600000") for upload in uploads] == [True] * 12
    patient.close_all()


def test_what_a_view_does_not_read_is_not_waited_for(server):
    unread = POST.replace(b"POST /", b"POST /unread")
    answer = received(server.connect(unread + b"Content-Length: 90000000\r\n\r\n" + b"a" * 1000))
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"Connection: close" in answer


def test_stopping_answers_what_was_asked(tmp_path):
    server = Server(tmp_path, HEAD_SECONDS=60)
    server.seconds()
    asked = [server.connect(GET.replace(b"/ ", b"/slow ")) for _ in range(8)]
    idle = [server.connect() for _ in range(20)]
    time.sleep(0.1)
    server.process.terminate()
    assert [received(one, 60).startswith(b"HTTP/1.1 200 OK") for one in asked] == [True] * 8
    server.process.wait(SOON)  # and not the minute that an idle connection may take
    assert [received(one) for one in idle] == [b""] * 20
    assert "Traceback" not in server.log.read_text()


def test_a_killed_process_is_replaced_and_slow_clients_cost_no_log(server):
    workers = psutil.Process(server.process.pid).children()
    workers[0].kill()
    assert [server.seconds() < SOON for _ in range(20)] == [True] * 20
    log = server.log.read_text()
    assert "Traceback" not in log
    assert len(log) < 4000
