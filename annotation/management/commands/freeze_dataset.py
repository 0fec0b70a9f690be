"""Freeze a project's labels into a dataset version."""

from argparse import ArgumentParser
from dataclasses import fields
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.template.defaultfilters import pluralize
from rich.console import Console

from annotation.core.errors import DomainError
from annotation.datasets.excluded import excluded_lines, label_lines, review_lines
from annotation.datasets.freeze import freeze_dataset
from annotation.datasets.gate import gate_lines
from annotation.datasets.label_balance import balance_of, untrainable_reason
from annotation.datasets.rows import ExportOptions
from annotation.datasets.without import read_without
from annotation.kinds.votes import LABELS
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
        parser.add_argument(
            "--split-pairs",
            action="store_true",
            help="For kto: take pairs apart, the chosen text desirable and the rejected one undesirable.",
        )

        parser.add_argument(
            "--min-agreement",
            type=float,
            metavar="SHARE",
            help="Leave out rows of two or more annotators unless at least this share of them is for the row's side, "
            "ties not counted; compared in whole percent, so that 0.67 takes two of three. Rows of one annotator are "
            "kept, and counted.",
        )
        parser.add_argument(
            "--labels",
            choices=LABELS,
            default=defaults.labels,
            help="What a DPO row's probability is: the share of the votes (the default), the posterior of a model of "
            "who errs how, or that posterior calibrated on hidden gold. Rows then have all three side by side.",
        )
        parser.add_argument(
            "--without",
            action="append",
            default=[],
            metavar="WHAT",
            help="Leave out person:NAME (or e-mail address), answer:ID, or simulated annotators; repeatable. For this "
            "version only; exclusions made on the project's pages apply as well.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            known = ", ".join(Project.objects.order_by("slug").values_list("slug", flat=True)[:20]) or "none yet"
            raise CommandError(f"there is no project {options['project']!r}. Projects: {known}")
        names = [field.name for field in fields(ExportOptions)]
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
                    without=read_without(project, options["without"]),
                    progress=lambda done: status.update(f"Freezing {project.slug}: {done:,} prompt{pluralize(done)}"),
                )
        except DomainError as error:
            raise CommandError(str(error)) from error
        manifest = version.asked_manifest or version.manifest
        for what, number in excluded_lines(manifest):
            self.stdout.write(f"excluded: {what}: {number:,} answer{pluralize(number)}")
        for what, number in review_lines(manifest):
            self.stdout.write(f"review: {what}: {number:,} answer{pluralize(number)}")
        for line in label_lines(manifest):
            self.stdout.write(f"labels: {line}")
        for what, number in manifest["left_out"].items():
            self.stdout.write(f"left out: {what}: {number:,}")
        if "single_votes" in manifest["rows"]:
            self.stdout.write(
                f"kept: rows of one annotator, whatever --min-agreement: {manifest['rows']['single_votes']:,}"
            )
        for line in gate_lines(manifest):
            self.stderr.write(f"warning: {line}")
        if version.was_frozen_otherwise:
            self.stdout.write(
                f"the same rows were frozen before, from another selection: the manifest of dataset {version.pk} "
                "describes that one"
            )
        if balance := balance_of(version):
            self.stdout.write(f"training rows: {balance.desirable:,} desirable, {balance.undesirable:,} undesirable")
        if reason := untrainable_reason(version):
            self.stderr.write(f"nothing can be trained on this dataset. {reason}")
        self.stdout.write(str(settings.VAR / version.directory))
        held_out = f"{version.held_out_rows:,} held-out row{pluralize(version.held_out_rows)}"
        self.stdout.write(f"dataset {version.pk}: {version.train_rows:,} train, {held_out}, sha256 {version.sha256}")
