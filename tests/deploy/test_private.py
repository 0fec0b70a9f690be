"""Nobody else on the machine reads the site's data, and nobody else connects to its database."""

import os
import pwd
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured

from deploy.embedded.access import ROLE, superuser, take_over
from deploy.embedded.processes import postmaster
from deploy.embedded.sockets import SOCKET_NAME, fits, is_private, parents, socket_folder
from deploy.embedded.system_user import SystemUser, system_user
from deploy.private import open_paths, private_folder, tighten

ROOT = Path(__file__).resolve().parent.parent.parent
FACTS = """
import json, os
from django.conf import settings
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("SELECT rolname, rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = current_user")
    print(json.dumps([settings.DATABASES["default"]["HOST"], *cursor.fetchone()]))
"""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")


def as_nobody(host, role):
    """What another user of the machine gets: "open", "closed", or nothing where the attempt itself failed."""
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            psycopg.connect(host=host, user=role, dbname="konomi").close()
            os.write(writer, b"open")
        except psycopg.OperationalError as error:
            os.write(writer, b"closed" if "Peer authentication failed" in str(error) else str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as answer:
        return answer.read()


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def me():
    return SystemUser(pwd.getpwuid(os.geteuid()).pw_name, os.geteuid(), os.getegid(), is_other=False)


@pytest.mark.parametrize("before", [0o755, 0o777, 0o750, 0o700, 0o710])
def test_var_is_closed(tmp_path, before):
    var = tmp_path / "site"
    var.mkdir()
    var.chmod(before)
    private_folder(var)
    assert mode(var) & 0o067 == 0
    assert mode(var) & 0o700 == 0o700


@pytest.mark.parametrize("shared", [Path("/tmp"), Path("/"), Path.home(), Path("/var/tmp")])
def test_a_folder_that_others_share_is_refused_and_stays_as_it_is(shared):
    before = mode(shared)
    with pytest.raises(ImproperlyConfigured, match="not the site's alone"):
        private_folder(shared)
    assert mode(shared) == before


def test_what_was_open_is_closed_and_said_once(tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("not the site's")
    outside.chmod(0o644)
    var = tmp_path / "site"
    for name, bits in (("mail/reset.log", 0o644), ("uploads/a.csv", 0o640), ("log/web.log", 0o666)):
        path = var / name
        path.parent.mkdir(parents=True)
        path.parent.chmod(0o755)
        path.write_text("private")
        path.chmod(bits)
    (var / "runs").mkdir()
    (var / "runs").chmod(0o755)
    (var / "link").symlink_to(outside)
    sentence = tighten(var).sentence(var)
    assert "7 files and folders" in sentence
    assert [entry.path for entry in open_paths(var)] == []
    assert mode(var / "mail" / "reset.log") == 0o600
    assert mode(outside) == 0o644
    assert tighten(var).sentence(var) == ""


@pytest.mark.parametrize(
    ("folder", "suits"),
    [
        ("/" + "a" * (107 - len(SOCKET_NAME) - 2), True),
        ("/" + "a" * (108 - len(SOCKET_NAME) - 2), False),
        ("/" + "数" * 40, False),
        ("/a b", False),
        ("/a,b", False),
        ("/a'b", False),
        ("/a%20", False),
    ],
)
def test_which_folder_holds_a_socket(folder, suits):
    assert fits(Path(folder)) is suits


def test_a_long_path_gets_a_private_folder_always_the_same(tmp_path, me, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "")
    data = tmp_path / ("long" * 30)
    folder = socket_folder(data, me)
    try:
        assert mode(folder) == 0o700
        assert socket_folder(data, me) == folder
        assert socket_folder(data / "other", me) != folder
    finally:
        folder.rmdir()


def test_a_name_that_somebody_took_is_not_used(tmp_path, me, monkeypatch):
    parent = Path(tempfile.mkdtemp(prefix="k-", dir="/tmp"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", "")
    monkeypatch.setattr("deploy.embedded.sockets.parents", lambda user: [parent])
    data = tmp_path / ("long" * 30)
    first = socket_folder(data, me)
    first.chmod(0o777)
    second = socket_folder(data, me)
    assert second != first
    second.rmdir()
    second.symlink_to("/tmp")
    third = socket_folder(data, me)
    assert third not in (first, second)
    assert not third.is_symlink()
    for place in (first, third):
        place.rmdir()
    second.unlink()
    parent.rmdir()


def test_a_shared_folder_without_the_sticky_bit_holds_none(tmp_path, me, monkeypatch):
    tmp_path.chmod(0o777)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert tmp_path not in parents(me)
    tmp_path.chmod(0o700)
    assert tmp_path in parents(me)
    assert is_private(tmp_path / "new", me)


@pytest.mark.story
@pytest.mark.parametrize("long", [False, True], ids=["short path", "long path"])
def test_only_the_sites_user_connects_and_the_site_is_no_superuser(long):
    """A site of its own, as a d334413 left it (open to everyone), at any length of its path."""
    import json

    with tempfile.TemporaryDirectory(prefix="konomi-private-") as folder:
        var = Path(folder) / ("v" * 120 if long else "var")
        environment = {**os.environ, "KONOMI_VAR": str(var), "DATABASE_URL": ""}
        command = [sys.executable, "manage.py", "shell", "-v", "0", "-c", FACTS]
        running = subprocess.Popen(
            [sys.executable, "-c", HOLD], cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            assert running.stdout.readline() == b"up\n"
            data = var / "postgres"
            (data / "pg_hba.conf").write_text("local all all trust\n")  # what another version set up
            done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
            host, role, *rights = json.loads(done.stdout.splitlines()[-1])
            assert role == ROLE
            assert rights == [False, False, False]
            assert mode(Path(host)) == 0o700
            assert (Path(host) == data.resolve()) is not long
            assert mode(var) & 0o067 == 0
            server = postmaster(data)
            if os.geteuid() == 0:
                assert 0 not in server.uids()
                assert 0 not in server.gids()
                groups = Path(f"/proc/{server.pid}/status").read_text().partition("Groups:")[2].splitlines()[0].split()
                assert "0" not in groups
                Path(host).chmod(0o777)  # even so
                var.chmod(0o777)
                Path(folder).chmod(0o755)
                data.chmod(0o755)
                tried = [as_nobody(host, user) for user in (ROLE, "postgres")]
                data.chmod(0o700)
                assert tried == ["closed"] * 2
            with superuser(host, "konomi") as connection:
                connection.execute("CREATE TABLE restored (id serial PRIMARY KEY)")
                connection.execute("CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'")
                assert take_over(connection) == 2
                assert take_over(connection) == 0
            with psycopg.connect(host=host, user=ROLE, dbname="konomi") as connection:
                connection.execute("DROP TABLE restored")
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute("COPY (SELECT 1) TO PROGRAM 'true'")
        finally:
            running.communicate(b"\n", timeout=60)
        assert postmaster(var / "postgres") is None  # the last handle stops it
        if long:
            for entry in Path(host).iterdir():
                entry.unlink()
            Path(host).rmdir()


HOLD = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "deploy.settings"
from django.conf import settings
settings.DATABASES
print("up", flush=True)
input()
"""


@as_root
def test_a_folder_keeps_its_user(tmp_path):
    (tmp_path / "PG_VERSION").write_text("18")
    os.chown(tmp_path / "PG_VERSION", 65534, 65534)
    user = system_user(tmp_path)
    assert (user.uid, user.is_other) == (65534, True)
    assert user.process_rights()["extra_groups"] == []
