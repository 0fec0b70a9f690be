"""Static files from a library: the one JavaScript file of Bokeh that the run pages need."""

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.contrib.staticfiles.finders import BaseFinder
from django.core.files.storage import FileSystemStorage

FILE = "bokeh.min.js"


class BokehFinder(BaseFinder):
    """Find `bokeh/bokeh.min.js` in the installed package; the other 17 MB of that folder are not served."""

    def __init__(self, app_names: Any = None, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        spec = find_spec("bokeh")  # without importing it
        if spec is None or not spec.submodule_search_locations:
            raise ModuleNotFoundError("bokeh is not installed: pip install -c deploy/constraints.txt -e .")
        self.storage = FileSystemStorage(location=Path(spec.submodule_search_locations[0]) / "server/static/js")
        self.storage.prefix = "bokeh"  # type: ignore[attr-defined]  # as Django's own finders name it

    def check(self, **options: Any) -> list[Any]:
        return []

    def find(self, path: str, find_all: bool = False, **options: Any) -> Any:
        if path != f"bokeh/{FILE}":
            return []  # how Django's own finders report no match
        location = self.storage.path(FILE)
        return [location] if find_all else location

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterable[Any]:
        yield FILE, self.storage
