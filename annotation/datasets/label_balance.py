"""How many rows of a KTO dataset are desirable, and whether anything can be learnt from them."""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.utils.translation import gettext as _

from annotation.models import DatasetVersion


class Balance(NamedTuple):
    desirable: int
    undesirable: int


def balance_of(version: DatasetVersion) -> Balance | None:
    """Desirable and undesirable training rows; None where the purpose has no labels, or the file is missing.

    Manifests say it; for a version that was frozen before they did, the labels are read from its file, once.
    """
    if version.purpose != DatasetVersion.Purpose.KTO:
        return None
    counted = version.manifest.get("rows", {}).get("labels")
    if counted is not None:
        return Balance(**counted["train"])
    path = Path(settings.VAR) / version.directory / "train.parquet"
    return _read(path) if path.is_file() else None


@lru_cache(maxsize=512)
def _read(path: Path) -> Balance | None:
    """Of a file whose path is the digest of its content; None where it is damaged, which a run would refuse."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        labels = pq.read_table(path, columns=["label"]).column("label")
    except (pa.ArrowException, OSError):
        return None
    desirable = labels.to_pylist().count(True)
    return Balance(desirable, len(labels) - desirable)


def untrainable_reason(version: DatasetVersion) -> str | None:
    """Why nothing can be trained on the version, with what to do; None where something can."""
    balance = balance_of(version)
    if balance is None or (balance.desirable and balance.undesirable):
        return None
    if balance.desirable:
        return _(
            "None of the rows is undesirable, and KTO learns from both kinds. Undesirable rows come from “both bad”, "
            "from bad scores and, if pairs are split, from rejected texts; for desirable rows alone, use SFT."
        )
    return _(
        "None of the rows is desirable, and KTO learns from both kinds. Desirable rows come from post-edits accepted "
        "unchanged, from good scores and, if pairs are split, from chosen texts."
    )
