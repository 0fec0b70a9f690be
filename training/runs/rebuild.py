"""Starts a run again, with the same options, on what superseded its dataset and its starting point."""

from dataclasses import dataclass

from django.db import transaction
from django.utils.translation import gettext as _

from annotation.core.errors import Conflict
from annotation.core.withdrawals import successors
from annotation.models import DatasetVersion, User
from training.models import Checkpoint, Run
from training.models.run import NAME_LENGTH
from training.results.withdrawals import Reached
from training.runs.create import OPTIONS, create_run


@dataclass(frozen=True)
class Inputs:
    """What a run is started again on. `waits` says what has to be made first, empty where nothing has."""

    dataset: DatasetVersion | None
    parent: Checkpoint | None
    waits: str = ""


def inputs_of(run: Run, reached: Reached) -> Inputs:
    """What replaces the dataset and the parent of a reached run."""
    dataset, parent = run.dataset, run.parent
    if dataset is not None and dataset.pk in reached.datasets:
        newest = successors([dataset.pk]).get(dataset.pk)
        if newest is None:
            return Inputs(None, None, _("first freeze dataset %(number)s again") % {"number": dataset.pk})
        if newest in reached.datasets:
            return Inputs(None, None, _("first freeze dataset %(number)s again") % {"number": newest})
        dataset = DatasetVersion.objects.get(pk=newest)
    if parent is not None and parent.run_id in reached.why:
        found = replacing_checkpoint(parent.run_id, reached)
        if found is None:
            return Inputs(None, None, _("first train run %(number)s again") % {"number": parent.run_id})
        parent = found
    if parent is None and reached.start_of(run) is not None:
        return Inputs(None, None, _("start it by hand: it began from a model folder that contains the answers"))
    return Inputs(dataset, parent)


def replacing_checkpoint(run_id: int, reached: Reached) -> Checkpoint | None:
    """The newest checkpoint without withdrawn answers of the runs that were started in place of this one, or in place
    of those."""
    line, later = {run_id}, {run_id}
    while later := set(Run.objects.filter(replaces__in=later).values_list("pk", flat=True)) - line:
        line |= later
    return Checkpoint.objects.filter(run__in=line - reached.why.keys()).order_by("-pk").first()


def replacement_of(run: Run) -> Run | None:
    """The newest run that was started in place of this one and has not failed."""
    ended_badly = (Run.Status.FAILED, Run.Status.CANCELLED)
    return run.replacements.exclude(status__in=ended_badly).order_by("-pk").first()


@transaction.atomic
def rebuild_run(*, run: Run, reached: Reached, actor: User | None) -> Run:
    """The run that is started in place of this one; the same one however often it is called.

    Raises Conflict where the run contains nothing that was withdrawn, and where its inputs have to be made again first;
    as `create_run` does besides.
    """
    Run.objects.select_for_update(of=("self",)).get(pk=run.pk)  # a double click is one run
    if known := replacement_of(run):
        return known
    if run.pk not in reached.why:
        raise Conflict(_("Run %(number)s contains no withdrawn answers.") % {"number": run.pk})
    if run.trainer == Run.Trainer.PRETRAIN:
        raise Conflict(_("A base model from scratch is trained again from its corpus, on the command line."))
    inputs = inputs_of(run, reached)
    if inputs.waits:
        raise Conflict(
            _("Run %(number)s cannot be started again: %(what)s.") % {"number": run.pk, "what": inputs.waits}
        )
    name = run.name or _("Run %(number)s, again") % {"number": run.pk}
    return create_run(
        project=run.project,
        trainer=run.trainer,
        dataset=inputs.dataset,
        actor=actor,
        base_model=run.base_model if inputs.parent is None else "",
        parent=inputs.parent,
        options={key: as_options(value) for key, value in run.config.items() if key in OPTIONS},
        evaluate=run.evaluate,
        allow_other_base=bool((run.config.get("model") or {}).get("allow_other_base")),
        name=name[:NAME_LENGTH],
        note=_("In place of run %(number)s, without withdrawn answers") % {"number": run.pk},
        replaces=run,
    )


def as_options(value: object) -> object:
    """JSON has lists where a configuration has tuples."""
    if isinstance(value, list):
        return tuple(map(as_options, value))
    if isinstance(value, dict):
        return {key: as_options(part) for key, part in value.items()}
    return value
