"""Files that a person downloads: only from inside their root, never shown by the browser."""

from pathlib import Path

from django.http import FileResponse, Http404


def download(root: Path, path: str, filename: str) -> FileResponse:
    """The file at `path` below `root`, as an attachment; 404 when there is none, or when it lies elsewhere."""
    base = Path(root).resolve()
    found = (base / path).resolve()
    if not path or not found.is_relative_to(base) or not found.is_file():
        raise Http404
    response = FileResponse(found.open("rb"), as_attachment=True, filename=filename)
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
