import getpass
import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotation.core.errors import DomainError
from annotation.members.accounts import create_account


class Command(BaseCommand):
    help = (
        "Make an account. The password comes from --password, else from the environment variable KONOMI_PASSWORD, "
        "otherwise the command asks for it. On the site itself accounts are made by invitation only (see invite)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", help="the address that the person signs in with")
        parser.add_argument("--name", required=True, help="what colleagues see beside the work")
        parser.add_argument("--password", help="at least 10 characters, neither common nor like the name")
        parser.add_argument(
            "--administrator", action="store_true", help="sees and manages every project and the administration pages"
        )
        parser.add_argument(
            "--staff", action="store_true", help="may create projects and open the administration pages"
        )
        parser.add_argument("--simulated", action="store_true", help="a program that answers in a person's place")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            user = create_account(
                email=options["email"],
                name=options["name"],
                password=options["password"] or os.environ.get("KONOMI_PASSWORD") or asked_password(),
                is_staff=options["staff"] or options["administrator"],
                is_superuser=options["administrator"],
                is_simulated=options["simulated"],
            )
        except DomainError as error:
            raise CommandError(str(error)) from error
        kind = "administrator" if user.is_superuser else "staff" if user.is_staff else "user"
        self.stdout.write(f"user {user.pk}: {user.email} ({kind})")


def asked_password() -> str:
    if not sys.stdin.isatty():
        raise CommandError("no password: give --password or set KONOMI_PASSWORD")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Repeat it: ") != password:
        raise CommandError("the two passwords differ")
    return password
