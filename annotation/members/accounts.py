"""Accounts: how one comes to be, and what allauth's pages may do. Nobody makes an account without an invitation."""

from allauth.account.adapter import DefaultAccountAdapter
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from annotation.core.errors import Conflict, InvalidInput
from annotation.core.events import record
from annotation.models import User
from annotation.text.normalization import has_ink

BACKEND = "annotation.members.auth_backend.PeopleBackend"


class InvitationOnlyAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth is untyped
    """allauth's sign-up page stays closed; a person joins through an invitation's link."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return reverse("home")

    def format_email_subject(self, subject: str) -> str:
        return f"[Konomi] {subject}"


def create_account(
    *,
    email: str,
    name: str,
    password: str | None,
    actor: User | None = None,
    is_staff: bool = False,
    is_superuser: bool = False,
    is_simulated: bool = False,
) -> User:
    """A new account. Without a password nobody can sign in to it until one is set by mail.

    Raises `InvalidInput` (problems named by field) for an unusable address, name or password, and `Conflict` when
    the address has an account already.
    """
    email, name = email.strip().lower(), " ".join(name.split())
    problems: list[tuple[str, str]] = []
    try:
        validate_email(email)
    except ValidationError as error:
        problems += [("email", message) for message in error.messages]
    if not has_ink(name) or len(name) > 150:
        problems.append(("name", _("Give a name of 1 to 150 characters: colleagues see it beside your work.")))
    if password is not None:
        try:
            validate_password(password, User(email=email, name=name))
        except ValidationError as error:
            problems += [("password", message) for message in error.messages]
    if problems:
        raise InvalidInput("; ".join(message for _, message in problems), problems)
    try:
        with transaction.atomic():
            user = User.objects.create_user(
                email, password, name=name, is_staff=is_staff, is_superuser=is_superuser, is_simulated=is_simulated
            )
            after = {"email": email, "name": name, "is_staff": is_staff, "is_superuser": is_superuser}
            record(verb="user.created", target=user, actor=actor or user, project=None, after=after)
    except IntegrityError as error:
        raise Conflict(_("there is an account for %(email)s already") % {"email": email}) from error
    return user


def choose_language(*, user: User, language: str) -> None:
    """The pages are in this language for the person from now on, on every machine; empty: as the browser asks."""
    with transaction.atomic():
        before = {"language": user.language}
        if User.objects.filter(pk=user.pk).exclude(language=language).update(language=language):
            after = {"language": language}
            record(verb="user.language_chosen", target=user, actor=user, project=None, before=before, after=after)
    user.language = language
