"""What belongs to which round: batches by when they were opened, datasets by whose labels they hold."""

from bisect import bisect_right
from collections.abc import Sequence

from annotation.datasets.lineage import labels_by_batch
from annotation.models import Batch, DatasetVersion, Project
from training.models import Round


def batches_by_round(project: Project, rounds: Sequence[Round]) -> dict[int | None, set[int]]:
    """{round: its batches}: those that it opened or that were linked to it; others belong to the round that was the
    newest when they were opened, or to the first. `rounds` are all of the project's, in any order, at least one."""
    by_number = sorted(rounds, key=lambda round: round.number)
    starts = [round.created_at for round in by_number if round.pk]
    found: dict[int | None, set[int]] = {round.pk: set() for round in by_number}
    rows = Batch.objects.filter(project=project).values_list("pk", "created_at", "rounds")
    for batch, opened_at, linked in rows:
        newest = by_number[max(0, bisect_right(starts, opened_at) - 1)]
        found[linked or newest.pk].add(batch)
    return found


def labels_by_round(version: DatasetVersion, batches: dict[int | None, set[int]]) -> dict[int | None, int]:
    """{round: how many of the dataset's labels come from its batches}, of rounds with at least one."""
    labels = labels_by_batch(version)
    held = {round: own & labels.keys() for round, own in batches.items()}
    return {round: sum(labels[batch] for batch in own) for round, own in held.items() if own}


def round_of(version: DatasetVersion) -> Round | None:
    """The newest round whose labels the dataset holds: what is trained on it belongs there. None without a round."""
    rounds = list(Round.objects.filter(project=version.project_id))
    if not rounds:
        return None
    held = labels_by_round(version, batches_by_round(version.project, rounds))
    return max((round for round in rounds if round.pk in held), key=lambda round: round.number, default=None)
