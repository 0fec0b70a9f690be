"""The demonstration's people: four accounts with passwords of this installation's own, and simulated annotators."""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from annotation.core.withdrawals import withdrawal_of
from annotation.members.accounts import create_account
from annotation.members.memberships import add_member
from annotation.models import Membership, Project, Role, User

WORDS = (
    "amber",
    "anchor",
    "autumn",
    "balcony",
    "basil",
    "bridge",
    "candle",
    "cedar",
    "cherry",
    "coast",
    "copper",
    "cotton",
    "courtyard",
    "ember",
    "ferry",
    "garden",
    "ginger",
    "harbour",
    "hazel",
    "island",
    "ivory",
    "jasmine",
    "lantern",
    "lemon",
    "linen",
    "lobby",
    "maple",
    "marble",
    "market",
    "meadow",
    "mirror",
    "olive",
    "orchard",
    "parlour",
    "pebble",
    "pepper",
    "pillow",
    "porter",
    "quartz",
    "river",
    "rosemary",
    "saffron",
    "silver",
    "spruce",
    "station",
    "summit",
    "terrace",
    "thyme",
    "timber",
    "valley",
    "velvet",
    "violet",
    "walnut",
    "willow",
)


@dataclass(frozen=True)
class Account:
    """`role` is empty for the site's administrator, who is no member but may do everything."""

    email: str
    name: str
    role: str
    password: str = ""


PEOPLE = (
    Account("annotator@example.org", "Ana Annotator", Role.ANNOTATOR),
    Account("reviewer@example.org", "Remi Reviewer", Role.REVIEWER),
    Account("manager@example.org", "Mara Manager", Role.MANAGER),
    Account("admin@example.org", "Ada Administrator", ""),
)


def ensure_people() -> list[Account]:
    """The four accounts with their passwords. One that a person has changed since comes back empty."""
    passwords = _passwords()
    found = []
    for person in PEOPLE:
        user = User.objects.filter(email=person.email).first()
        if user is None:
            user = create_account(
                email=person.email,
                name=person.name,
                password=passwords[person.email],
                is_staff=not person.role,
                is_superuser=not person.role,
            )
        password = passwords[person.email] if user.check_password(passwords[person.email]) else ""
        found.append(Account(person.email, person.name, person.role, password))
    return found


def join_project(project: Project, manager: User) -> None:
    for person in PEOPLE:
        user = User.objects.get(email=person.email)
        if person.role and may_join(project, user):
            add_member(project=project, user=user, role=person.role, actor=manager)


def may_join(project: Project, user: User) -> bool:
    """Whether they are not in the project yet, and have not withdrawn their consent there."""
    is_member = Membership.objects.filter(project=project, user=user).exists()
    return not is_member and withdrawal_of(project, user) is None


def simulated_annotators(project: Project, count: int) -> list[User]:
    """The project's first `count` simulated annotators, made where they are missing. Nobody can sign in to them."""
    found = []
    for number in range(1, count + 1):
        email = f"simulated-{number}@example.org"
        user = User.objects.filter(email=email).first() or create_account(
            email=email, name=f"Simulated annotator {number}", password=None, is_simulated=True
        )
        if may_join(project, user):
            add_member(project=project, user=user, role=Role.ANNOTATOR, actor=None)
        found.append(user)
    return found


def _passwords() -> dict[str, str]:
    """Made once and kept in var, readable by its owner only: the site may be reachable by others."""
    path = Path(settings.VAR) / "demo" / "passwords.json"
    known: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    missing = [person.email for person in PEOPLE if person.email not in known]
    if missing:
        known |= {email: _password() for email in missing}
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".new")
        with os.fdopen(os.open(aside, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
            json.dump(known, file, indent=2)
        aside.replace(path)
    return known


def _password() -> str:
    return "-".join([*(secrets.choice(WORDS) for _ in range(3)), str(secrets.randbelow(90) + 10)])
