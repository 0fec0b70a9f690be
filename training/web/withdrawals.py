"""What training tells of withdrawn answers (see `annotation.consent.registry`): runs, checkpoints and rounds that they
are in, the promotion in effect, and the copies of rows that engines have."""

import contextlib
import shutil
from collections import Counter
from collections.abc import Collection
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db.models import Count
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.consent.registry import Promoted, Trained
from annotation.core.errors import Conflict
from annotation.models import Candidate, DatasetVersion, Project
from training.contract.run_directory import HELD_OUT, LOG, SAMPLES, TOKENS, TRAIN
from training.engine_jobs.model_folders import short_name
from training.engine_jobs.queue import cancel
from training.models import Checkpoint, MarginScoring, Round, Run
from training.results.checkpoints import promoted_checkpoint
from training.results.withdrawals import Reached, curves_on, jobs_on
from training.runs.rebuild import inputs_of, replacement_of, replacing_checkpoint

CACHE = "cache/tokens"
ENGINE_ENDED = timedelta(minutes=5)  # so long ago, what an engine wrote last has been looked for


def trained_on(project: Project, datasets: Collection[int]) -> list[Trained]:
    reached = Reached(project, datasets)
    checkpoints = reached.checkpoints()
    promoted = promoted_checkpoint(project)
    return [
        *(run_row(run, reached) for run in reached.reached_runs()),
        *(checkpoint_row(row, reached, promoted) for row in checkpoints),
        *curve_rows(project, datasets),
        *output_rows(project, checkpoints),
    ]


def run_row(run: Run, reached: Reached) -> Trained:
    again = replacement_of(run)
    waits = ""
    if again is None:
        waits = inputs_of(run, reached).waits if run.trainer != Run.Trainer.PRETRAIN else _("by hand, from its corpus")
    state = _("%(status)s; %(why)s") % {"status": run.get_status_display(), "why": reached.reason(run.pk)}
    return Trained(
        kind="run",
        name=_("Run %(number)s") % {"number": run.pk},
        url=reverse("run", args=[run.pk]),
        state=state,
        superseded=_("run %(number)s") % {"number": again.pk} if again else "",
        superseded_url=reverse("run", args=[again.pk]) if again else "",
        rebuild_url="" if again or waits else reverse("run_rebuild", args=[run.pk]),
        rebuild_label=_("Train again"),
        waits=waits,
        facts={"run": run.pk, "dataset": run.dataset_id, "replaced_by": again.pk if again else None},
    )


def checkpoint_row(checkpoint: Checkpoint, reached: Reached, promoted: Checkpoint | None) -> Trained:
    newer = replacing_checkpoint(checkpoint.run_id, reached)
    is_promoted = promoted is not None and promoted.pk == checkpoint.pk
    promote_newer = is_promoted and newer is not None
    if is_promoted:
        state = _("promoted")
    elif checkpoint.promoted_at:
        state = _("promoted before, not any more")
    else:
        state = _("not promoted")
    return Trained(
        kind="checkpoint",
        name=_("Checkpoint %(number)s") % {"number": checkpoint.pk},
        url=reverse("checkpoint", args=[checkpoint.pk]),
        state=state,
        superseded=_("checkpoint %(number)s") % {"number": newer.pk} if newer else "",
        superseded_url=reverse("checkpoint", args=[newer.pk]) if newer else "",
        rebuild_url=reverse("checkpoint_promote", args=[newer.pk]) if promote_newer and newer else "",
        rebuild_label=_("Promote checkpoint %(number)s") % {"number": newer.pk} if newer else "",
        waits=_("first train run %(number)s again") % {"number": checkpoint.run_id}
        if is_promoted and newer is None
        else "",
        facts={
            "checkpoint": checkpoint.pk,
            "run": checkpoint.run_id,
            "sha256": checkpoint.sha256,
            "replaced_by": {"checkpoint": newer.pk, "sha256": newer.sha256} if newer else None,
        },
    )


def curve_rows(project: Project, datasets: Collection[int]) -> list[Trained]:
    return [
        Trained(
            kind="learning curve",
            name=_("Learning curve %(number)s") % {"number": curve.pk},
            url=reverse("learning_curve", args=[curve.pk]),
            state=_("its runs are listed here"),
            facts={"learning_curve": curve.pk},
        )
        for curve in curves_on(project, datasets)
    ]


def output_rows(project: Project, checkpoints: list[Checkpoint]) -> list[Trained]:
    """Rounds in which people judged output of these checkpoints, and how much of it there is. The text is the models',
    and the labels are those of others: both are listed, and stay."""
    origins = [checkpoint.origin for checkpoint in checkpoints]
    texts = Candidate.objects.filter(prompt__project=project, origin__in=origins).order_by()
    counts = Counter(dict(texts.values_list("origin").annotate(n=Count("pk"))))
    rounds = Round.objects.filter(checkpoint__in=checkpoints).order_by("number")
    rows = [
        Trained(
            kind="round",
            name=_("Round %(number)s") % {"number": round.number},
            url=reverse("rounds", args=[project.slug]),
            state=_("people judged output of checkpoint %(number)s") % {"number": round.checkpoint_id},
            facts={"round": round.number, "checkpoint": round.checkpoint_id},
        )
        for round in rounds
    ]
    return rows + [
        Trained(
            kind="candidates",
            name=_("Output of checkpoint %(number)s") % {"number": checkpoint.pk},
            url=reverse("checkpoint", args=[checkpoint.pk]),
            state=_("%(count)s candidates; the model wrote them, they stay") % {"count": f"{count:,}"},
            facts={"candidates_of": checkpoint.pk, "count": count},
        )
        for checkpoint in checkpoints
        if (count := counts[checkpoint.origin])
    ]


def promoted(project: Project, datasets: Collection[int]) -> list[Promoted]:
    checkpoint = promoted_checkpoint(project)
    if checkpoint is None:
        return []
    reached = Reached(project, datasets)
    why = reached.reason(checkpoint.run_id) if checkpoint.run_id in reached.why else ""
    contains = _("Checkpoint %(number)s is promoted and contains the answers: %(why)s.")
    chain = [checkpoint]
    while (parent := chain[-1].parent) is not None:
        chain.append(parent)
    hashes = dict(DatasetVersion.objects.filter(checkpoints__in=chain).values_list("pk", "sha256"))
    return [
        Promoted(
            name=_("checkpoint %(number)s") % {"number": checkpoint.pk},
            url=reverse("checkpoint", args=[checkpoint.pk]),
            contains=contains % {"number": checkpoint.pk, "why": why} if why else "",
            facts={
                "checkpoint": checkpoint.pk,
                "sha256": checkpoint.sha256,
                "base_model": short_name(checkpoint.base_model) if checkpoint.base_model else "",
                "chain": [
                    {
                        "checkpoint": link.pk,
                        "sha256": link.sha256,
                        "run": link.run_id,
                        "dataset": link.dataset_id,
                        "dataset_sha256": hashes.get(link.dataset_id) if link.dataset_id else None,
                    }
                    for link in chain
                ],
            },
        )
    ]


def remove_copies(project: Project, datasets: Collection[int], *, again: bool) -> int:
    """Stop what is learning from the rows, and delete the copies of their texts: linked files, sample outputs beside
    references, logs, token ids. The shared cache of token ids does not say whose rows they are: all of it goes, and
    again while an engine may have written to it."""
    count = 0
    jobs = jobs_on(project, datasets)
    since = timezone.now() - ENGINE_ENDED
    purge = bool(jobs) and (not again or any(job.is_live or (job.finished_at or since) > since for job in jobs))
    for job in jobs:
        with contextlib.suppress(Conflict):
            cancel(job, None)
        folder = job.directory.path
        for path in [job.directory.dataset / TRAIN, job.directory.dataset / HELD_OUT, folder / SAMPLES, folder / LOG]:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
                count += 1
        count += remove_folder(folder / TOKENS)
    count += remove_scored_texts(project)
    return count + (remove_folder(Path(settings.VAR) / CACHE) if purge else 0)


def remove_scored_texts(project: Project) -> int:
    """Candidates, which may be what the person wrote, that a margin scoring has not finished with: it is cancelled."""
    count = 0
    for scoring in MarginScoring.objects.filter(project=project):
        if not scoring.directory.dataset.is_dir():
            continue
        with contextlib.suppress(Conflict):
            cancel(scoring, None)
        with contextlib.suppress(FileNotFoundError):
            (scoring.directory.path / LOG).unlink()
            count += 1
        count += remove_folder(scoring.directory.dataset) + remove_folder(scoring.directory.path / TOKENS)
    return count


def remove_folder(folder: Path) -> int:
    files = sum(path.is_file() for path in folder.rglob("*")) if folder.is_dir() else 0
    shutil.rmtree(folder, ignore_errors=True)
    return files


def remaining(project: Project, datasets: Collection[int]) -> list[str]:
    """What `remove_copies` leaves: trained weights, which may have memorized a text."""
    sentences = []
    for checkpoint in Reached(project, datasets).checkpoints():
        if (Path(settings.VAR) / checkpoint.path).is_dir():
            sentences.append(
                _("The weights of checkpoint %(number)s are kept (%(path)s): a model may repeat texts that it learned.")
                % {"number": checkpoint.pk, "path": checkpoint.path}
            )
    return sentences
