"""What tests and benchmarks do that the site itself may not."""

import contextlib
import os


def allow_test_statements() -> None:
    """Let the site's role create databases, skip triggers and make checkpoints, on an embedded server.

    With DATABASE_URL the role named there needs these rights already.
    """
    import psycopg
    from django.conf import settings

    from deploy.embedded.access import ROLE, superuser

    database = settings.DATABASES["default"]
    host = str(database["HOST"])
    if os.environ.get("DATABASE_URL") or not host.startswith("/"):
        return
    with superuser(host) as connection:
        # Another worker may be writing the same rows just now.
        with contextlib.suppress(psycopg.errors.InternalError):
            connection.execute(f"ALTER ROLE {ROLE} CREATEDB")
        with contextlib.suppress(psycopg.errors.InternalError, psycopg.errors.UniqueViolation):
            connection.execute(f"GRANT SET ON PARAMETER session_replication_role TO {ROLE}")
            connection.execute(f"GRANT pg_checkpoint TO {ROLE}")
