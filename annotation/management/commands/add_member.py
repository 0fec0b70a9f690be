"""Put a person who has an account into a project, at once and without an invitation."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotation.core.errors import DomainError
from annotation.members.memberships import add_member
from annotation.models import Membership, Project, Role, User


class Command(BaseCommand):
    help = (
        "Add people who have an account to a project, or give members another role. People without an account get one "
        "by the command create_user, or by an invitation (see the command invite)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", metavar="PROJECT", help="the project's slug")
        parser.add_argument("emails", metavar="EMAIL", nargs="+", help="the addresses that they sign in with")
        parser.add_argument("--role", choices=Role.values, default=Role.ANNOTATOR, help="default: %(default)s")

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            known = ", ".join(Project.objects.order_by("slug").values_list("slug", flat=True)[:20]) or "none yet"
            raise CommandError(f"there is no project {options['project']!r}. Projects: {known}")
        people = {user.email: user for user in User.objects.filter(email__in=map(str.lower, options["emails"]))}
        if missing := [email for email in options["emails"] if email.lower() not in people]:
            raise CommandError(
                f"no account has the address {', '.join(missing)}; make one: manage.py create_user {missing[0]} "
                "--name NAME"
            )
        for user in people.values():
            before = Membership.objects.filter(project=project, user=user).values_list("role", flat=True).first()
            try:
                membership = add_member(project=project, user=user, role=options["role"], actor=None)
            except DomainError as error:
                raise CommandError(str(error)) from error
            change = f" (was {before})" if before and before != membership.role else " (already)" if before else ""
            self.stdout.write(f"{user.email}: {membership.role} of {project.slug}{change}")
