"""What a person downloads: files only from inside their root, nothing shown by the browser."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from django.http import FileResponse, Http404, HttpResponse


def download(root: Path, path: str, filename: str) -> FileResponse:
    """The file at `path` below `root`, as an attachment; 404 when there is none, or when it lies elsewhere."""
    base = Path(root).resolve()
    found = (base / path).resolve()
    if not path or not found.is_relative_to(base) or not found.is_file():
        raise Http404
    response = FileResponse(found.open("rb"), as_attachment=True, filename=filename)
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def csv_download(rows: Iterable[Sequence[object]], filename: str) -> HttpResponse:
    """The rows as CSV (RFC 4180, UTF-8). Cells that people wrote pass `neutral_cell` before."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    # The mark tells spreadsheets that this is UTF-8.
    response = HttpResponse("\ufeff" + text.getvalue(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    response["X-Content-Type-Options"] = "nosniff"
    return response
