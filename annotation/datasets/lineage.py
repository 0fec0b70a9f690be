"""Which batches the labels of a frozen dataset come from."""

from collections import Counter
from functools import lru_cache
from itertools import islice
from pathlib import Path

from django.conf import settings
from django.db.models import Count

from annotation.models import Annotation, Batch, DatasetVersion

AT_ONCE = 20_000


def labels_by_batch(version: DatasetVersion) -> dict[int, int]:
    """{batch: how many of the dataset's annotations are its}. A version never changes, so it is counted once.

    Manifests say it; for a version that was frozen before they did, the file of its annotations' ids is counted. Where
    that file is missing, each batch of its selection counts 0 labels.
    """
    counted = version.manifest.get("annotations", {}).get("by_batch")
    if counted is not None:
        return {int(batch): number for batch, number in counted.items()}
    path = Path(settings.VAR) / version.directory / "annotation_ids.txt"
    return dict(_counted(version.pk, path)) if path.is_file() else dict.fromkeys(_selected(version), 0)


@lru_cache(maxsize=512)
def _counted(_version: int, path: Path) -> dict[int, int]:
    counts: Counter[int] = Counter()
    with path.open(encoding="ascii") as lines:
        ids = map(int, lines)
        while chunk := list(islice(ids, AT_ONCE)):
            rows = Annotation.objects.filter(pk__in=chunk).values_list("task__batch_id").annotate(Count("pk"))
            counts.update(dict(rows.order_by()))
    return dict(counts)


def _selected(version: DatasetVersion) -> list[int]:
    """The batches that it was frozen from, as far as its selection says."""
    chosen = version.selection.get("batches")
    if chosen is None:
        opened = Batch.objects.filter(project=version.project_id, created_at__lte=version.created_at)
        return list(opened.values_list("pk", flat=True))
    return [batch for batch in chosen if isinstance(batch, int)]
