"""Rebuild a project's translation memory from its current answers."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.template.defaultfilters import pluralize
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from annotation.models import Project
from annotation.reference import translation_memory


class Command(BaseCommand):
    help = "Rebuild a project's translation memory from its current answers."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", metavar="PROJECT", help="The project's slug.")

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            known = ", ".join(Project.objects.order_by("slug").values_list("slug", flat=True)[:20]) or "none yet"
            raise CommandError(f"there is no project {options['project']!r}. Projects: {known}")
        columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("Reading answers")
            kept = translation_memory.rebuild(
                project=project, progress=lambda done, total: bar.update(task, completed=done, total=total)
            )
        self.stdout.write(f"{project.slug}: {kept:,} text{pluralize(kept)} in the translation memory")
