"""Who a file says answered → accounts: known people by e-mail, new ones for everybody else, without sign-in."""

import hashlib
import re
from dataclasses import dataclass, field

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from annotation.core.errors import Conflict
from annotation.members.accounts import create_account
from annotation.models import Project, User

# Nobody can own an address of this domain (RFC 2606), so that nobody can set a password by mail.
DOMAIN = "recorded.invalid"
PLAIN = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
LONGEST_PLAIN = 40


def address_of(worker: str, project: Project) -> str:
    """The worker's own address, or one made of the name and this project. Worker 17 of another project is
    another person."""
    if "@" in worker and is_address(worker.lower()):
        return worker.lower()
    local = worker
    if len(worker) > LONGEST_PLAIN or not PLAIN.fullmatch(worker):
        # “W1” and “w1” are two names, and an address knows no case.
        readable = re.sub(r"[^a-z0-9]+", "-", worker.lower()).strip("-")[:24] or "worker"
        local = f"{readable}-{hashlib.sha256(worker.encode()).hexdigest()[:12]}"
    place = re.sub(r"[^a-z0-9]+", "-", project.slug.lower()).strip("-") or "project"
    return f"{local}@{place}.{DOMAIN}"


def own_address(address: str) -> str:
    """The address, unless it was made up for a name in a file."""
    return "" if address.endswith(f".{DOMAIN}") else address


def is_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return len(text) <= 254


@dataclass
class Workers:
    """The accounts of one import's workers, looked up or created when they are first needed."""

    project: Project
    actor: User | None
    created: int = 0
    matched: int = 0
    known: dict[str, int] = field(default_factory=dict)

    def account(self, worker: str) -> int:
        """The id of the worker's account."""
        if worker not in self.known:
            self.known[worker] = self.find(worker)
        return self.known[worker]

    def find(self, worker: str) -> int:
        address = address_of(worker, self.project)
        user = User.objects.filter(email=address).first()
        if user is None:
            try:
                user = create_account(email=address, name=worker[:150], password=None, actor=self.actor)
            except Conflict:  # made by another import at the same moment
                user = User.objects.get(email=address)
            else:
                self.created += 1
                return user.pk
        self.matched += 1
        return user.pk
