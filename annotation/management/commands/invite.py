from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.urls import reverse

from annotation.core.errors import DomainError
from annotation.members.memberships import invite
from annotation.models import Project, Role, User


class Command(BaseCommand):
    help = "Print a link by which one person makes an account and joins a project. It holds for 14 days, once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", help="the project's slug")
        parser.add_argument("--role", choices=Role.values, default=Role.ANNOTATOR.value, help="default: annotator")
        parser.add_argument("--email", default="", help="only this address may use the link")
        parser.add_argument("--by", metavar="EMAIL", help="who invites (default: the first administrator)")
        parser.add_argument(
            "--site", default="http://localhost:8000", metavar="URL", help="the site's address, for the link"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            raise CommandError(f"no project {options['project']!r}")
        if options["by"]:
            inviter = User.objects.filter(email__iexact=options["by"]).first()
        else:
            inviter = User.objects.filter(is_superuser=True, is_active=True).order_by("pk").first()
        if inviter is None:
            who = options["by"] or "an administrator"
            raise CommandError(f"no account for {who}: make one with create_user, or name the inviter with --by")
        try:
            invitation = invite(project=project, role=options["role"], email=options["email"], actor=inviter)
        except DomainError as error:
            raise CommandError(str(error)) from error
        link = options["site"].rstrip("/") + reverse("join", args=[invitation.token])
        self.stdout.write(
            f"invitation {invitation.pk}: {link} ({invitation.role}, until {invitation.expires_at:%d %B})"
        )
