"""`--learning-curve` of the training commands: all the runs of a curve, one after the other, and the verdict."""

import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.urls import reverse
from rich.console import Console
from rich.table import Table

from annotation.text.formatting import percentage
from training.cli.progress import (
    get,
    get_checkpoint,
    get_dataset,
    plain_errors,
    refuse_beside_resume,
    wait_for,
)
from training.cli.training import TrainingCommand
from training.contract.wording import counted
from training.engine_jobs.queue import resume
from training.models import EngineJob, Evaluation, LearningCurve, Run
from training.results.evaluations import create_evaluation
from training.runs.learning_curves import (
    SHARES,
    Reading,
    evaluation_of,
    read_learning_curve,
    runs_of,
    start_learning_curve,
)
from training.runs.options import numbers

Status = EngineJob.Status


class LearningCurveCommand(TrainingCommand):
    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        group = parser.add_argument_group("learning curve")
        group.add_argument(
            "--learning-curve",
            action="store_true",
            help="train on growing fractions of the prompts, evaluate each on the same held-out rows, "
            "and report whether "
            "more labels would help; with --resume, continue the curve of that number",
        )
        group.add_argument(
            "--shares",
            type=numbers,
            help="fractions of the prompts for --learning-curve, nested; default 0.1,0.25,0.5,1",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["learning_curve"]:
            if options["shares"] is not None:
                raise CommandError("--shares is for --learning-curve; a single run takes --share")
            super().handle(*args, **options)
            return
        with plain_errors():
            curve = self._continued(options) if options["resume"] else self._started(options)
        self._finish(curve)

    def _started(self, options: dict[str, Any]) -> LearningCurve:
        if options["dataset"] is None:
            raise CommandError(f"no dataset: give the id of one frozen --for {self.trainer}")
        if options["share"] is not None or options["no_evaluate"]:
            raise CommandError("--learning-curve sets the shares and evaluates: omit --share and --no-evaluate")
        dataset = get_dataset(options["dataset"])
        if dataset.purpose != self.trainer:
            raise CommandError(f"dataset {dataset.pk} was frozen for {dataset.purpose}: use train_{dataset.purpose}")
        return start_learning_curve(
            project=dataset.project,
            dataset=dataset,
            actor=None,
            shares=options["shares"] or SHARES,
            base_model=options["model"] or "",
            parent=get_checkpoint(options["checkpoint"]) if options["checkpoint"] else None,
            options=self.chosen(options),
            allow_other_base=options["allow_other_base"],
            name=options["name"],
            note=options["note"],
        )

    def _continued(self, options: dict[str, Any]) -> LearningCurve:
        """Queue again what failed or was cancelled; points that are there stay."""
        curve: LearningCurve = get(LearningCurve, options["resume"], "learning curve")
        if curve.dataset.purpose != self.trainer:
            raise CommandError(f"{curve} is not for this command: use train_{curve.dataset.purpose}")
        if options["dataset"] is not None or options["model"] or options["checkpoint"] or options["shares"]:
            raise CommandError("--resume continues a curve with its settings: do not give a dataset, model or shares")
        self.refuse_description(options)
        refuse_beside_resume(self, options, "learning_curve")
        for run in runs_of(curve):
            if run.status in (Status.FAILED, Status.CANCELLED):
                resume(run, None)
            elif run.status == Status.SUCCEEDED:
                evaluation = evaluation_of(curve, run)
                if evaluation is None:
                    create_evaluation(checkpoint=run.checkpoint, actor=None, dataset=curve.dataset)
                elif evaluation.status in (Status.FAILED, Status.CANCELLED):
                    resume(evaluation, None)
        return curve

    def _finish(self, curve: LearningCurve) -> None:
        """Wait for the runs, then for their evaluations, which the queue puts after them. Exits with 1 or 3."""
        runs = runs_of(curve)
        self.stderr.write(f"{curve}: {counted(len(runs), 'run')}, equal epochs, dataset {curve.dataset_id}")
        statuses = []
        for number, run in enumerate(runs, 1):
            self.stderr.write(f"point {number} of {len(runs)}: {percentage(run.config['share'])} of the prompts, {run}")
            statuses.append(self._waited(curve, run))
        for run in runs:
            evaluation = evaluation_of(curve, run)
            if evaluation is not None:
                statuses.append(self._waited(curve, evaluation))
        reading = read_learning_curve(curve)
        show_curve(reading)
        self.stdout.write(f"{curve}: {reading.verdict.title}. {' '.join(reading.verdict.sentences)}")
        self.stdout.write(f"see {reverse('learning_curve', args=[curve.pk])}")
        if Status.FAILED in statuses:
            self.stdout.write(self._how_to_resume(curve))
            self.stdout.flush()
            sys.exit(1)

    def _waited(self, curve: LearningCurve, job: Run | Evaluation) -> str:
        job.refresh_from_db()
        status = wait_for(job, self.stdout, lambda: live_jobs(curve, job))
        if job.error:
            self.stderr.write(job.error)
        if status == Status.CANCELLED:
            self.stdout.write(f"{curve}: cancelled. {self._how_to_resume(curve)}")
            self.stdout.flush()
            sys.exit(3)
        return status

    def _how_to_resume(self, curve: LearningCurve) -> str:
        return f"To continue: manage.py train_{self.trainer} --learning-curve --resume {curve.pk}"


def live_jobs(curve: LearningCurve, but: EngineJob) -> list[Run | Evaluation]:
    jobs = [job for run in runs_of(curve) for job in (run, evaluation_of(curve, run)) if job is not None]
    return [job for job in jobs if job.is_live and job != but]


def show_curve(reading: Reading) -> None:
    """The points as a table on stderr."""
    table = Table("share", "rows", reading.figure, "95 %", "run", "status", title=str(reading.curve))
    for point in reading.points:
        labels = "" if point.labels is None else f"{point.labels:,}"
        table.add_row(point.share_text, labels, point.value_text, point.interval_text, str(point.run.pk), point.status)
    Console(stderr=True).print(table)
