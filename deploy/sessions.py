"""Sessions in the database, as Django keeps them; read with every request, so by a prepared statement."""

from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.models import Session

from annotation.core.prepared import select

CURRENT = "session_key = %(key)s AND expire_date > now()"


class SessionStore(DatabaseStore):
    def _get_session_from_db(self) -> Session | None:
        found = select(Session, CURRENT, {"key": self.session_key})
        if not found:
            self._session_key = None
            return None
        return found[0]
