"""Who may connect as whom, and who owns what: pg_hba.conf, pg_ident.conf, and the role `konomi`."""

import os
import pwd
import time
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.embedded.system_user import SystemUser

if TYPE_CHECKING:
    import psycopg

SECONDS_TO_RECOVER = 60
# What the server says while it starts; psycopg gives no SQLSTATE (57P03) for a connection that was refused.
RECOVERING = ("the database system is starting up", "in recovery mode", "not yet accepting connections")
SUPERUSER, ROLE, DATABASE = "postgres", "konomi", "konomi"
HBA = """# Written by Konomi at each start. Only the site's own system user connects, by the socket (pg_ident.conf).
local all all peer map=konomi
"""
# Everything in the schema that the role does not own, but for members of extensions.
FOREIGN = """
SELECT format('%%s %%I.%%I', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW'
                                         WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END, n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'S', 'v', 'm') AND c.relowner <> %(role)s::regrole
    -- a column's own sequence follows its table
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                    AND (d.deptype = 'e' OR (c.relkind = 'S' AND d.deptype IN ('a', 'i'))))
UNION ALL
SELECT format('ROUTINE %%s', p.oid::regprocedure)
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = 'public' AND p.proowner <> %(role)s::regrole
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                    AND d.deptype = 'e')
UNION ALL
SELECT format('TYPE %%I.%%I', n.nspname, t.typname)
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE n.nspname = 'public' AND t.typowner <> %(role)s::regrole AND t.typtype IN ('e', 'd', 'r')
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid
                    AND d.deptype IN ('e', 'i'))
"""


def ident(user: SystemUser) -> str:
    """pg_ident.conf: the site's user, and the server's where the site runs as root, as `postgres` and as `konomi`."""
    names = dict.fromkeys([pwd.getpwuid(os.geteuid()).pw_name, user.name])
    lines = [f'konomi "{name}" {role}' for name in names for role in (SUPERUSER, ROLE)]
    return "# Written by Konomi at each start: map, system user, role.\n" + "\n".join(lines) + "\n"


def write_files(folder: Path, user: SystemUser) -> bool:
    """Write both files if they differ from ours; True if they did (a running server has to read them again)."""
    changed = False
    for name, text in (("pg_hba.conf", HBA), ("pg_ident.conf", ident(user))):
        path = folder / name
        if path.exists() and path.read_text() == text:
            continue
        aside = folder / f"{name}.new"
        aside.unlink(missing_ok=True)
        with os.fdopen(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(text)
        user.own(aside)
        aside.replace(path)
        changed = True
    return changed


def superuser(socket: Path | str, database: str = "postgres") -> "psycopg.Connection":
    """A connection as the superuser. A server that was killed takes some seconds to recover: it is waited for."""
    import psycopg

    end = time.monotonic() + SECONDS_TO_RECOVER
    while True:
        try:
            return psycopg.connect(host=str(socket), port=5432, user=SUPERUSER, dbname=database, autocommit=True)
        except psycopg.OperationalError as error:
            if time.monotonic() > end or not any(words in str(error) for words in RECOVERING):
                raise
        time.sleep(0.2)


def ensure_role_and_database(socket: Path) -> None:
    """The role `konomi` and its database, owned by it with all that is in it. Several processes may do this at once.

    Databases of earlier versions belong to the superuser, and so does what a backup of one brings back.
    """
    with superuser(socket) as connection:
        exists = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = %s), EXISTS (SELECT FROM pg_database d WHERE "
        exists += "datname = %s AND pg_get_userbyid(datdba) = %s)"
        role, owned = connection.execute(exists, [ROLE, DATABASE, ROLE]).fetchone() or (False, False)
        if not (role and owned):
            connection.execute("SELECT pg_advisory_lock(hashtext('konomi.database'))")  # until this connection closes
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone():
                connection.execute(f"CREATE ROLE {ROLE} LOGIN")
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
            connection.execute(f"ALTER DATABASE {DATABASE} OWNER TO {ROLE}")
    with superuser(socket, DATABASE) as connection:
        take_over(connection)


def take_over(connection: "psycopg.Connection") -> int:
    """Give the role what it does not own in the connected database's schema; returns how many things that were."""
    if not (foreign := connection.execute(FOREIGN, {"role": ROLE}).fetchall()):
        return 0
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('konomi.database'))")
        foreign = connection.execute(FOREIGN, {"role": ROLE}).fetchall()
        for (thing,) in foreign:
            connection.execute(f"ALTER {thing} OWNER TO {ROLE}")  # names are quoted by the query
    return len(foreign)
