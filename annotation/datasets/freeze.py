"""Freeze labels into a content-addressed dataset version."""

import hashlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.core import withdrawals
from annotation.core.collection import rare_collection
from annotation.core.errors import Conflict, InvalidInput
from annotation.core.reviews import SENT_BACK, WAITING
from annotation.core.version import version as code_version
from annotation.datasets.beliefs import read_beliefs
from annotation.datasets.files import SplitWriter, canonical_row, content_sha256, file_facts, parquet_schema
from annotation.datasets.gate import gate_facts
from annotation.datasets.held_out import HeldOutPrompts
from annotation.datasets.labels import Selection, SourcesTally, aspect_points, checked_selection, labelled_prompts
from annotation.datasets.register import FILES, Content, register
from annotation.datasets.rows import ROWS_FOR, AgreementTally, ExportOptions
from annotation.datasets.without import NOTHING, Without
from annotation.kinds.votes import VOTES
from annotation.models import Annotation, Assignment, DatasetVersion, Project, User
from annotation.text.digests import canonical_json

Progress = Callable[[int], None]  # called with the number of prompts done

# How answers become rows: raised whenever the same answers may yield other rows. Manifests without it are of rules 1.
RULES = 2
ATTEMPTS = 5  # of a freeze during which people withdraw consent
TOO_LITTLE_AGREEMENT = "rows on which annotators agree less than was asked for"


def freeze_dataset(
    *,
    project: Project,
    purpose: str,
    format: str = DatasetVersion.Format.CONVERSATIONAL,
    actor: User | None,
    batches: Iterable[int] | None = None,
    kinds: Iterable[str] | None = None,
    options: ExportOptions | None = None,
    without: Without = NOTHING,
    progress: Progress | None = None,
) -> DatasetVersion:
    """Write the selected labels as train and held-out rows; returns the version, the existing one if the content is
    the same. Then its `asked_manifest` says what was selected this time.

    Args:
        purpose: sft, dpo or kto. format: conversational (messages) or standard (strings).
        batches, kinds: which labels; None for all of the project's.
        without: answers left out of this version, besides those that are excluded in the project.

    Raises:
        InvalidInput: nothing to freeze, or a selection that does not exist; the message says what is missing.
        Leak: a training row would share its prompt, text or document with a held-out prompt.
    """
    if purpose not in DatasetVersion.Purpose.values or format not in DatasetVersion.Format.values:
        raise InvalidInput(
            _("a dataset is for %(purposes)s and %(formats)s, not %(purpose)s and %(format)s")
            % {
                "purposes": ", ".join(DatasetVersion.Purpose.values),
                "formats": ", ".join(DatasetVersion.Format.values),
                "purpose": f"{purpose!r}",
                "format": f"{format!r}",
            }
        )
    selection = checked_selection(
        project,
        Selection(
            purpose=purpose,
            format=format,
            batches=None if batches is None else tuple(batches),
            kinds=None if kinds is None else tuple(kinds),
            options=options or ExportOptions(),
            without=without,
        ),
    )
    selection.options.check_purpose(purpose)
    root = Path(settings.DATASETS_DIR)
    root.mkdir(parents=True, exist_ok=True)
    for _attempt in range(ATTEMPTS):
        state = withdrawals.state_of(project)
        folder = Path(tempfile.mkdtemp(prefix="freezing-", dir=root))
        try:
            with rare_collection():
                content = write_files(folder, project, selection, progress)
            if content is None:
                continue
            if version := register(project, selection, content, folder, actor, state):
                return version
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    raise Conflict(_("Labels changed again and again while the dataset was written. Freeze it again."))


def write_files(folder: Path, project: Project, selection: Selection, progress: Progress | None) -> Content | None:
    """None where labels that are read twice changed in between."""
    sources, agreement, left_out = SourcesTally(), AgreementTally(), Counter[str]()
    by_kind: Counter[str] = Counter()
    by_label: dict[str, Counter[bool | None]] = {"train": Counter(), "held_out": Counter()}
    single_votes = 0
    points = aspect_points(project)
    asks_model = selection.options.labels != VOTES
    if asks_model:
        sources.fingerprint = hashlib.sha256()
    schema = parquet_schema(selection.purpose, selection.format, with_chances=asks_model)
    rows_of = ROWS_FOR[selection.purpose]
    with (
        transaction.atomic(),
        SplitWriter(folder, "train", schema) as train,
        SplitWriter(folder, "held_out", schema) as held_out,
        closing(labelled_prompts(project, selection, sources)) as prompts,
    ):
        believed = read_beliefs(project, selection) if asks_model else None
        barred = HeldOutPrompts.of(project)
        for done, prompt in enumerate(prompts, 1):
            if believed:
                prompt = prompt._replace(believe=believed.of)
            agreement.add(prompt.labels)
            made = rows_of(prompt, selection.options, points, left_out)
            rows = [row for row in made if selection.options.takes(row)]
            if len(rows) < len(made):
                left_out[TOO_LITTLE_AGREEMENT] += len(made) - len(rows)
            if rows and not prompt.held_out:
                barred.check(prompt)
                if reason := barred.reads_like(prompt):
                    left_out[reason] += len(rows)
                    rows = []
            for row in rows:
                writer = held_out if prompt.held_out else train
                writer.write(canonical_row(row, prompt, selection.purpose, selection.format, with_chances=asks_model))
                for kind in row.kinds:
                    by_kind[kind] += 1
                single_votes += row.votes == 1
                by_label["held_out" if prompt.held_out else "train"][row.label] += 1
            if progress and done % 500 == 0:
                progress(done)
        gate = {} if project.agreement_floor is None else gate_facts(project, sources.annotation_ids)
    if believed and believed.fingerprint != sources.fingerprint.hexdigest():
        return None
    if not train.rows:
        raise InvalidInput(nothing_to_train_on(project, selection, sources, left_out, held_out.rows))
    content = Content(
        sha256=content_sha256(selection.purpose, selection.format, train, held_out),
        train_rows=train.rows,
        held_out_rows=held_out.rows,
    )
    ids = folder / "annotation_ids.txt"
    ids.write_text("".join(f"{key}\n" for key in sorted(sources.annotation_ids)))
    content.manifest = {
        "konomi_dataset": 1,
        "rules": RULES,
        "sha256": content.sha256,
        "project": {
            "id": project.pk,
            "slug": project.slug,
            "name": project.name,
            "goal": project.goal,
            "source_language": project.source_language,
            "target_language": project.target_language,
        },
        "selection": selection.as_dict(),
        "rows": {
            "train": train.rows,
            "held_out": held_out.rows,
            "by_kind": dict(sorted(by_kind.items())),
            **({"labels": label_counts(by_label)} if selection.purpose == DatasetVersion.Purpose.KTO else {}),
            **({"single_votes": single_votes} if selection.options.min_agreement is not None else {}),
        },
        "left_out": dict(sorted(left_out.items())),
        "annotations": {
            "count": len(sources.annotation_ids),
            "by_kind": dict(sorted(sources.kinds.items())),
            "by_batch": {str(batch): number for batch, number in sorted(sources.batches.items())},
            "annotators": len(sources.annotators),
            "file": ids.name,
        },
        **({"excluded": sources.excluded_facts(selection.without)} if selection.without or sources.excluded else {}),
        **({"trials": {"annotations": sources.trials}} if sources.trials else {}),
        **({"checks": {"annotations": sources.checks}} if sources.checks else {}),
        **({"review": facts} if (facts := sources.review_facts()) else {}),
        **({"labels": believed.facts()} if believed else {}),
        **({"gate": gate} if gate else {}),
        **({"adjudication": decided} if (decided := sources.adjudication_facts()) else {}),
        "guideline_versions": sources.guideline_versions(),
        "weight_versions": sources.weight_versions(),
        "agreement": agreement.summary(),
        "code_version": code_version(),
        "files": {name: file_facts(folder / name) for name in FILES[:-1]},
    }
    (folder / "manifest.json").write_text(canonical_json(content.manifest) + "\n", encoding="utf-8")
    return content


def label_counts(by_label: dict[str, Counter[bool | None]]) -> dict[str, dict[str, int]]:
    return {
        split: {"desirable": counts[True], "undesirable": counts[False]} for split, counts in sorted(by_label.items())
    }


def nothing_to_train_on(
    project: Project, selection: Selection, sources: SourcesTally, left_out: Counter[str], held_out: int
) -> str:
    """The message for an empty dataset: what is missing, and what to do."""
    count = len(sources.annotation_ids)
    if held_out:
        return _(
            "all %(rows)s rows come from held-out prompts, which are never trained on: annotate prompts that are "
            "not held out, or lower the project's held-out share before importing more"
        ) % {"rows": f"{held_out:,}"}
    if not count and (excluded := sources.excluded.total() + sources.without.total()):
        return ngettext(
            "the %(excluded)s selected annotation is excluded: lift the exclusion, or leave out less",
            "all %(excluded)s selected annotations are excluded: lift exclusions, or leave out less",
            excluded,
        ) % {"excluded": f"{excluded:,}"}
    if not count and sources.pending:
        return _(
            "no selected annotation counts yet: %(waiting)s wait for review, %(sent_back)s were sent back to their "
            "authors; review them, or no longer require review for the batch"
        ) % {name: f"{sources.pending[name]:,}" for name in (WAITING, SENT_BACK)}
    if not count and sources.trials:
        return ngettext(
            "no label is selected: the %(count)s selected annotation belongs to a trial of the guideline",
            "no label is selected: all %(count)s selected annotations belong to trials of the guideline",
            sources.trials,
        ) % {"count": f"{sources.trials:,}"}
    if not count and sources.checks:
        return ngettext(
            "no label is selected: the %(count)s selected annotation is of a task that checks people",
            "no label is selected: all %(count)s selected annotations are of tasks that check people",
            sources.checks,
        ) % {"count": f"{sources.checks:,}"}
    if not count:
        waiting = (
            Assignment.objects.filter(batch__project=project)
            .exclude(state__in=[Assignment.State.DONE, Assignment.State.WITHDRAWN])
            .count()
        )
        total = Annotation.objects.filter(task__batch__project=project, is_current=True).count()
        nothing = _(
            "no finished annotation is selected: %(waiting)s assignments are not done; annotate first, or select other "
            "batches and kinds"
        )
        nothing_yet = _(
            "the project %(project)s has no annotations yet: %(waiting)s assignments are not done; annotate first, or "
            "select other batches and kinds"
        )
        return (nothing if total else nothing_yet) % {"waiting": f"{waiting:,}", "project": project.slug}
    counts = ", ".join(f"{number:,} {kind}" for kind, number in sorted(sources.kinds.items()))
    reasons = "; ".join(f"{_(what)}: {number:,}" for what, number in sorted(left_out.items()))
    advice = {
        "sft": _(
            "SFT rows come from writing, post-editing and good scores, and from chosen sides with --chosen-as-sft"
        ),
        "dpo": _("pairs come from choosing, changed post-edits, and scores that differ enough (--score-difference)"),
        "kto": _(
            "unpaired rows come from post-edits accepted unchanged, both bad, and good or bad scores, and from the two "
            "sides of pairs with --split-pairs"
        ),
    }[selection.purpose]
    values = {
        "purpose": selection.purpose,
        "count": f"{count:,}",
        "found": counts,
        "advice": advice,
        "reasons": reasons,
    }
    if reasons:
        return (
            _(
                "no %(purpose)s row comes from the %(count)s selected annotations (%(found)s): %(advice)s. "
                "Left out: %(reasons)s"
            )
            % values
        )
    return _("no %(purpose)s row comes from the %(count)s selected annotations (%(found)s): %(advice)s") % values
