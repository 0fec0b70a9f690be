"""Analyse answers for the dashboard and the quality of labels now (`annotation.analyses`, `annotation.quality`)."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.template.defaultfilters import pluralize

from annotation.analyses.run import analyse, due_projects, newest
from annotation.checks.rules import propose
from annotation.models import Analysis, Project
from annotation.quality import run as quality
from annotation.trials.results import update_results


class Command(BaseCommand):
    help = (
        "Analyse a project's answers for its dashboard: bias, pace, disagreement, and how good the labels are; and "
        "give unsure tasks of batches with adaptive overlap one more annotator. The worker does so by itself."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project", nargs="?", metavar="PROJECT", help="the project's short name")
        parser.add_argument("--due", action="store_true", help="all projects in which something changed, as the worker")

    def handle(self, *, project: str | None, due: bool, **options: Any) -> None:
        if due == bool(project):
            raise CommandError("Name a project, or give --due.")
        waiting = {*due_projects(), *quality.due_projects()} if due else set()
        rows = Project.objects.filter(pk__in=waiting) if due else Project.objects.filter(slug=project)
        if not due and not rows:
            raise CommandError(f"There is no project {project}")
        for row in rows:
            if not analyse(row) or not quality.assess(row):
                raise CommandError(f"{row.slug} is being analysed already: try again later")
            update_results(row)
            if proposed := propose(row):
                self.stdout.write(f"{row.slug}: {proposed:,} proposals of rules on checks")
            found = newest(row)[Analysis.Name.TRUST]
            of_labels = newest(row)[quality.QUALITY]
            seconds = found.seconds + of_labels.seconds
            self.stdout.write(f"{row.slug}: {found.result['answers']:,} answers analysed in {seconds:.1f} s")
            for batch in of_labels.result["adaptive"]:
                if batch["added"] or batch["nobody_left"]:
                    added, left = batch["added"], batch["nobody_left"]
                    self.stdout.write(
                        f"batch {batch['batch']}: {added:,} task{pluralize(added)} of {batch['tasks']:,} get one more "
                        f"annotator; {left:,} unsure with nobody left"
                    )
        if due and not rows:
            self.stdout.write("Nothing has changed.")
