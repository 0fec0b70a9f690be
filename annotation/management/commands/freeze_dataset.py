"""Freeze a project's labels into a dataset version."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.template.defaultfilters import pluralize
from rich.console import Console

from annotation.core.errors import DomainError
from annotation.datasets.freeze import freeze_dataset
from annotation.datasets.rows import ExportOptions
from annotation.models import DatasetVersion, Kind, Project


class Command(BaseCommand):
    help = (
        "Freeze a project's labels into train and held-out rows (JSONL and Parquet) under their sha256. The same "
        "selection gives the same version. Held-out prompts are barred from training."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        defaults = ExportOptions()
        parser.add_argument("project", metavar="PROJECT", help="The project's slug.")
        parser.add_argument(
            "--for",
            dest="purpose",
            required=True,
            choices=DatasetVersion.Purpose.values,
            help="sft: prompt and completion; dpo: prompt, chosen, rejected; kto: prompt, completion, label.",
        )
        parser.add_argument(
            "--format",
            choices=DatasetVersion.Format.values,
            default=DatasetVersion.Format.CONVERSATIONAL,
            help="Messages (conversational, the default) or strings (standard).",
        )
        parser.add_argument("--batch", type=int, action="append", metavar="ID", help="Only this batch; repeatable.")
        parser.add_argument("--kind", choices=Kind.values, action="append", help="Only this kind; repeatable.")
        parser.add_argument(
            "--score-difference",
            type=float,
            default=defaults.score_difference,
            metavar="SHARE",
            help="Scored candidates make a pair from this difference of weighted scores up, 0 to 1 (%(default)s).",
        )
        parser.add_argument(
            "--score-good",
            type=float,
            default=defaults.score_good,
            metavar="SHARE",
            help="A scored candidate is an SFT row, and desirable, from this score up (%(default)s).",
        )
        parser.add_argument(
            "--score-bad",
            type=float,
            default=defaults.score_bad,
            metavar="SHARE",
            help="A scored candidate is undesirable from this score down (%(default)s).",
        )
        parser.add_argument(
            "--chosen-as-sft",
            action="store_true",
            help="Make an SFT row of a text that more than half of the annotators put first, too.",
        )
        parser.add_argument(
            "--keep-ties", action="store_true", help="Keep pairs that are evenly split, with probability 0.5."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            known = ", ".join(Project.objects.order_by("slug").values_list("slug", flat=True)[:20]) or "none yet"
            raise CommandError(f"there is no project {options['project']!r}. Projects: {known}")
        names = ("score_difference", "score_good", "score_bad", "chosen_as_sft", "keep_ties")
        try:
            with Console(stderr=True).status(f"Freezing {project.slug}") as status:
                version = freeze_dataset(
                    project=project,
                    purpose=options["purpose"],
                    format=options["format"],
                    actor=None,
                    batches=options["batch"],
                    kinds=options["kind"],
                    options=ExportOptions(**{name: options[name] for name in names}),
                    progress=lambda done: status.update(f"Freezing {project.slug}: {done:,} prompt{pluralize(done)}"),
                )
        except DomainError as error:
            raise CommandError(str(error)) from error
        for what, number in version.manifest["left_out"].items():
            self.stdout.write(f"left out: {what}: {number:,}")
        self.stdout.write(str(settings.VAR / version.directory))
        held_out = f"{version.held_out_rows:,} held-out row{pluralize(version.held_out_rows)}"
        self.stdout.write(f"dataset {version.pk}: {version.train_rows:,} train, {held_out}, sha256 {version.sha256}")
