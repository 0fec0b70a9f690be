"""gunicorn's threaded worker, made safe against slow connections: a thread gets a request that is there, not a socket.

gunicorn's own worker gives a connection to a thread with its first byte, and the thread then waits for the rest without
a limit: as many half-sent requests as there are threads stop the site. Here the process's one poller receives headers
and ordinary bodies, within a time; threads read only the rest of large uploads, with a least speed, and never all
threads at once. The order is: receiving → (waiting, if large) → in a thread → kept alive, or closing.
"""

import re
import selectors
import socket
import time
from collections import deque
from typing import Any

from gunicorn.http import get_parser
from gunicorn.http.errors import NoMoreData
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn, ThreadWorker

HEAD_SECONDS = 10.0  # from the first byte (or from connecting) to the end of the headers
HEAD_BYTES = 64 * 1024
BODY_BYTES = 256 * 1024  # a longer body is read by a thread while it arrives
SLOWEST = 4 * 1024  # bytes a second; what a body may take is HEAD_SECONDS more than at this speed
STALL_SECONDS = 20.0  # how long a thread waits for a client to take (or send) the next piece
CLOSING_SECONDS = 2.0  # how long a client may take to close after the last response

END = b"\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,18})[ \t]*\r\n", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
EXPECTS = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*\r\n", re.IGNORECASE)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# Of what is refused before the application, which sends its own, sees it.
HEADERS = (
    b"Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\nX-Frame-Options: DENY\r\n"
    b"X-Content-Type-Options: nosniff\r\nReferrer-Policy: same-origin\r\nCache-Control: no-store\r\n"
)
EMPTY = HEADERS + b"Connection: close\r\nContent-Length: 0\r\n\r\n"
TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\n" + EMPTY
LARGE_WAITING = 64  # bodies that wait for a thread; more are asked to come later
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\n" + EMPTY
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\n" + EMPTY


class SteadyUnreader(SocketUnreader):  # type: ignore[misc]
    """Reads the rest of a large body. Raises TimeoutError when it arrives more slowly than SLOWEST."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.begun, self.arrived = time.monotonic(), 0

    def start(self) -> None:
        self.begun, self.arrived = time.monotonic(), 0

    def chunk(self, size_hint: int | None = None) -> bytes:
        data: bytes = super().chunk(size_hint)
        self.arrived += len(data)
        if time.monotonic() - self.begun > HEAD_SECONDS + self.arrived / SLOWEST:
            raise TimeoutError("the body arrives too slowly")
        return data


class Refusing:
    """A socket that adds our headers to the answer gunicorn writes for a request that it cannot read."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sock, name)

    def sendall(self, answer: bytes) -> None:
        self.sock.sendall(answer.replace(b"\r\n", b"\r\n" + HEADERS, 1))


class Connection(TConn):  # type: ignore[misc]
    """A connection, and what has been received of its next request."""

    def __init__(self, cfg: Any, sock: socket.socket, client: Any, server: Any) -> None:
        super().__init__(cfg, sock, client, server)
        self.parser: Any = None
        self.received = bytearray()
        self.head = 0  # bytes up to the end of the headers, once they are there
        self.needed = 0  # bytes of headers and body
        self.is_large = False
        self.is_closing = False
        self.deadline = time.monotonic() + HEAD_SECONDS

    def next_request(self, received: bytes = b"") -> None:
        self.received = bytearray(received)
        self.head = self.needed = 0
        self.is_large = False
        self.deadline = time.monotonic() + HEAD_SECONDS

    def is_whole(self) -> bool:
        """Whether a thread can have the request: all of it is there, or its body is large. Call after each piece."""
        if not self.head:
            end = self.received.find(END)
            if end < 0:
                return False
            self.head = end + len(END)
            head = bytes(self.received[: self.head])
            length = LENGTH.search(head)
            body = int(length[1]) if length else 0
            self.needed = self.head + body
            self.is_large = body > BODY_BYTES or CHUNKED.search(head) is not None
            self.deadline += body / SLOWEST
            if body and not self.is_large and EXPECTS.search(head) and len(self.received) < self.needed:
                self.sock.send(CONTINUE)
        return self.is_large or len(self.received) >= self.needed

    def hand_over(self) -> None:
        """Give the parser what was received."""
        if self.parser is None:
            self.initialized = True
            self.parser = get_parser(self.cfg, self.sock, self.client)
            self.parser.unreader = SteadyUnreader(self.sock)
        self.parser.unreader.start()
        self.parser.unreader.unread(bytes(self.received))
        self.received = bytearray()


class BufferingWorker(ThreadWorker):  # type: ignore[misc]
    """See the module. Everything but `handle` runs in the process's main thread."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.polled: set[Connection] = set()  # receiving or closing: they have a deadline
        self.large_waiting: deque[Connection] = deque()
        self.large_running = 0
        self.next_sweep = 0.0

    # ---- receiving ----

    def accept(self, listener: socket.socket) -> None:
        try:
            sock, client = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):  # another process took it, or it has gone
            return
        self.nr_conns += 1
        self.receive(Connection(self.cfg, sock, client, listener.getsockname()))

    def on_client_socket_readable(self, conn: Connection, client: socket.socket) -> None:
        """A kept-alive connection has its next request, or was closed by the client."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        conn.next_request()
        self.receive(conn)

    def receive(self, conn: Connection, _file: Any = None) -> None:
        """Take what has arrived; a thread gets the connection when the request is whole."""
        try:
            while not conn.is_whole():
                if not conn.head and len(conn.received) > HEAD_BYTES:
                    return self.refuse(conn, TOO_LARGE)
                piece = conn.sock.recv(64 * 1024)
                if not piece:
                    return self.drop(conn)
                conn.received += piece
        except BlockingIOError:
            return self.poll(conn, self.receive)
        except OSError:
            return self.drop(conn)
        self.unpoll(conn)
        if not conn.is_large or self.large_running < max(1, self.cfg.threads - 1):
            self.start_request(conn)
        elif len(self.large_waiting) < LARGE_WAITING:
            self.large_waiting.append(conn)
        else:
            self.refuse(conn, BUSY)

    def start_request(self, conn: Connection) -> None:
        self.large_running += conn.is_large
        conn.hand_over()
        self.enqueue_req(conn)

    def poll(self, conn: Connection, callback: Any) -> None:
        if conn not in self.polled:
            self.polled.add(conn)
            self.poller.register(conn.sock, selectors.EVENT_READ, lambda file: callback(conn, file))

    def unpoll(self, conn: Connection) -> None:
        if conn in self.polled:
            self.polled.discard(conn)
            self.poller.unregister(conn.sock)

    # ---- in a thread ----

    def handle(self, conn: Connection) -> bool:
        """Answer one request that has been received. Returns whether the connection can be used again."""
        request = None
        try:
            conn.sock.settimeout(STALL_SECONDS)
            request = next(conn.parser)
            if conn.is_large:
                request.force_close()  # what the view did not read of it is not waited for
            keep = self.handle_request(request, conn)
            return bool(self._keepalive_after(conn, keep and not conn.is_large))
        except (NoMoreData, StopIteration, OSError) as error:  # the client has gone, or is too slow
            self.log.debug("Connection ended early: %r", error)
        except Exception as error:
            self.handle_error(request, conn.sock, conn.client, error)
        return False

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        super().handle_error(req, Refusing(client), addr, exc)

    # ---- afterwards ----

    def finish_request(self, conn: Connection, result: Any) -> None:
        if conn.is_large:
            self.large_running -= 1
            if self.large_waiting:
                self.start_request(self.large_waiting.popleft())
        again = not result.cancelled() and result.exception() is None and result.result()
        if not again:
            return self.close_when_read(conn)
        if early := conn.parser.unreader.take_buffered():  # the client sent its next request before this answer
            conn.sock.setblocking(False)
            conn.next_request(early)
            return self.receive(conn)
        super().finish_request(conn, result)
        return None

    def close_when_read(self, conn: Connection) -> None:
        """Send the end, and wait in the poller until the client has closed: closing at once would cut the answer off.

        gunicorn waits for this in the thread that serves all connections.
        """
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            return self.drop(conn)
        conn.deadline = time.monotonic() + CLOSING_SECONDS
        conn.is_closing = True
        self.poll(conn, self.discard)
        return None

    def discard(self, conn: Connection, _file: Any = None) -> None:
        try:
            if not conn.sock.recv(64 * 1024):
                self.drop(conn)
        except BlockingIOError:
            pass
        except OSError:
            self.drop(conn)

    def refuse(self, conn: Connection, answer: bytes) -> None:
        self.unpoll(conn)
        try:
            conn.sock.send(answer)
        except OSError:
            return self.drop(conn)
        return self.close_when_read(conn)

    def drop(self, conn: Connection) -> None:
        self.unpoll(conn)
        self.nr_conns -= 1
        conn.close()

    def murder_pending(self) -> None:
        """End what is over its time. The run loop calls this after each event; once a second is enough."""
        now = time.monotonic()
        if now < self.next_sweep and self.alive:
            return
        self.next_sweep = now + 1.0
        late = [conn for conn in self.polled if now > conn.deadline]
        if not self.alive:
            late = [conn for conn in self.polled if now > conn.deadline or not (conn.received or conn.is_closing)]
        for conn in late:
            if conn.received and not conn.is_closing:
                self.refuse(conn, TOO_LATE)
            else:
                self.drop(conn)
