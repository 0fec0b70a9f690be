from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.template.defaultfilters import pluralize

from annotation.core.errors import DomainError
from annotation.members.memberships import add_member
from annotation.models import Project, Role, User
from annotation.projects.guidelines import publish_guideline
from annotation.projects.settings import create_project


class Command(BaseCommand):
    help = "Make a project, with members who have accounts already. All of it, or nothing when something is wrong."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug", help="its address on the site: small Latin letters, digits and hyphens")
        parser.add_argument("--name", required=True, help="what it is called")
        parser.add_argument("--goal", choices=Project.Goal.values, default=Project.Goal.TRANSLATION.value)
        parser.add_argument("--source-language", default="en", help="BCP 47 tag of the prompts (default en)")
        parser.add_argument("--target-language", help="BCP 47 tag of the answers (default: as the prompts)")
        parser.add_argument("--persona", default="", help="for the goal persona: who answers, and how")
        parser.add_argument("--overlap", type=int, default=1, help="how many people do each task (default 1)")
        parser.add_argument(
            "--held-out-share", type=float, default=0.1, help="share of source documents never trained on (default 0.1)"
        )
        parser.add_argument(
            "--lease-minutes", type=int, default=60, help="how long a claimed task waits for its annotator (default 60)"
        )
        parser.add_argument("--guideline", type=Path, metavar="FILE", help="Markdown, published as version 1")
        for role in Role.values:
            parser.add_argument(
                f"--{role}",
                action="append",
                default=[],
                metavar="EMAIL",
                help=f"a member as {role}; may be given several times",
            )

    def handle(self, *args: Any, **options: Any) -> None:
        members = [(account(email), role) for role in Role.values for email in options[role]]
        managers = [user for user, role in members if role == Role.MANAGER]
        try:
            with transaction.atomic():
                project = create_project(
                    slug=options["slug"],
                    name=options["name"],
                    goal=options["goal"],
                    source_language=options["source_language"],
                    target_language=options["target_language"] or options["source_language"],
                    persona=options["persona"],
                    default_overlap=options["overlap"],
                    held_out_share=options["held_out_share"],
                    lease_minutes=options["lease_minutes"],
                    actor=managers[0] if managers else None,
                )
                for user, role in members:
                    add_member(project=project, user=user, role=role, actor=None)
                if options["guideline"]:
                    text = read(options["guideline"])
                    publish_guideline(project=project, text=text, based_on=0, actor=managers[0] if managers else None)
        except DomainError as error:
            raise CommandError(str(error)) from error
        count = project.memberships.count()
        self.stdout.write(f"project {project.slug}: {project.name}, {count} member{pluralize(count)}")


def account(email: str) -> User:
    user = User.objects.filter(email__iexact=email).first()
    if user is None:
        raise CommandError(f"no account for {email}: make one with create_user")
    return user


def read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"cannot read the guideline {path}: {error}") from error
