"""Who is signed in: allauth's checks, with the person read by a prepared statement, as every request needs them."""

from allauth.account.auth_backends import AuthenticationBackend

from annotation.core.prepared import select
from annotation.models import User


class PeopleBackend(AuthenticationBackend):  # type: ignore[misc]  # allauth is untyped
    def get_user(self, user_id: int) -> User | None:
        users = select(User, "id = %(user)s", {"user": user_id})
        return users[0] if users and self.user_can_authenticate(users[0]) else None
