"""Withdraw wrong prompts from a project, or restore them."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q

from annotation.answers.exclusions import restore_prompt, withdraw_prompt
from annotation.core.access import MAX_ID
from annotation.core.errors import DomainError
from annotation.models import Event, Project, Prompt


class Command(BaseCommand):
    help = (
        "Withdraw prompts: their open tasks leave the queue (what was entered is kept), their answers go into no new "
        "dataset and no result, and no new batch takes them. Frozen datasets never change. --restore undoes it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", metavar="PROJECT", help="the project's slug")
        parser.add_argument(
            "--prompt",
            action="append",
            type=int,
            default=[],
            metavar="N",
            help="a prompt's number; as often as needed",
        )
        parser.add_argument(
            "--id", action="append", default=[], metavar="ID", help="the id that a prompt has in its file"
        )
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--reason", help="why; kept with every dataset that is frozen without the prompts")
        what.add_argument("--restore", action="store_true", help="restore withdrawn prompts")

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            raise CommandError(f"there is no project {options['project']!r}")
        for prompt in self.prompts(project, options["prompt"], options["id"]):
            name = f"prompt {prompt.pk}" + (f" ({prompt.external_id})" if prompt.external_id else "")
            try:
                if options["restore"]:
                    restore_prompt(prompt=prompt, actor=None)
                else:
                    withdraw_prompt(prompt=prompt, reason=options["reason"], actor=None)
            except DomainError as error:
                raise CommandError(f"{name}: {error}") from error
            events = Event.objects.filter(object_type="prompt", object_id=prompt.pk, verb__startswith="prompt.")
            facts = events.latest("pk").after or {}
            if options["restore"]:
                self.stdout.write(f"{name}: restored; slots back in the queue: {facts['slots']}")
            else:
                self.stdout.write(
                    f"{name}: withdrawn; answers excluded: {facts['answers']}, slots out of the queue: "
                    f"{facts['slots']}, of which somebody worked on: {facts['held']}"
                )

    def prompts(self, project: Project, numbers: list[int], ids: list[str]) -> list[Prompt]:
        """The prompts that were named, in the order of their numbers; CommandError for one that is not there."""
        if not numbers and not ids:
            raise CommandError("name a prompt: --prompt N or --id ID")
        rows = Prompt.objects.select_related("project").filter(project=project)
        known = [number for number in numbers if 0 < number <= MAX_ID]
        found = list(rows.filter(Q(pk__in=known) | Q(external_id__in=[one for one in ids if one])).order_by("pk"))
        for number in numbers:
            if number not in {prompt.pk for prompt in found}:
                raise CommandError(f"the project {project.slug} has no prompt {number}")
        for one in ids:
            if one not in {prompt.external_id for prompt in found}:
                raise CommandError(f"the project {project.slug} has no prompt with the id {one!r}")
        return found
