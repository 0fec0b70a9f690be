"""Logs stay bounded while their process writes on; nobody's link makes the site empty another file."""

import subprocess
import sys
import time

from deploy import log_files
from deploy.embedded.watch import Watch
from deploy.service import Service

WRITES = "import time\nfor n in range(10**6): print(f'line {n:07}', flush=True); time.sleep(0.0002)"


class Server:
    """An embedded server that lives."""

    def __init__(self, pgdata):
        self.pgdata, self.log = pgdata, pgdata / "log"

    def is_alive(self):
        return True

    def has_socket(self):
        return True


def test_a_log_is_cut_while_the_process_writes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(log_files, "LOG_LIMIT", 4_000)
    service = Service("web", [sys.executable, "-c", WRITES], tmp_path / "web.log", {})
    service.start()
    try:
        older, until = tmp_path / "web.log.1", time.monotonic() + 60
        while time.monotonic() < until and not (older.exists() and service.log.stat().st_size):
            service.bound_log()
            time.sleep(0.01)
        assert older.stat().st_size > 4_000
        assert older.read_text().startswith("line 0000000")
        assert service.log.read_bytes().startswith(b"line "), "appended at the new beginning, no hole before it"
    finally:
        service.kill()


def test_the_log_of_postgresql_is_cut_too(tmp_path, monkeypatch):
    monkeypatch.setattr(log_files, "LOG_LIMIT", 100)
    (tmp_path / "log").mkdir()
    server = Server(tmp_path / "postgres")
    server.pgdata.mkdir()
    with server.log.open("ab") as log:
        writer = subprocess.Popen([sys.executable, "-c", "print('x' * 200)"], stdout=log)
    writer.wait()
    said = []
    Watch(server, said.append)()
    assert (server.log.stat().st_size, said) == (0, [])
    assert (tmp_path / "log" / "postgres.log.1").read_text() == "x" * 200 + "\n"


def test_a_link_is_not_followed(tmp_path, monkeypatch):
    monkeypatch.setattr(log_files, "LOG_LIMIT", 10)
    secret, link = tmp_path / "secret", tmp_path / "log"
    secret.write_text("s" * 100)
    link.symlink_to(secret)
    log_files.bound_log(link, tmp_path / "older")
    assert secret.read_text() == "s" * 100
    assert not (tmp_path / "older").exists()
