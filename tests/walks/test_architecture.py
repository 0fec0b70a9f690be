"""docs/architecture.md names every room, and no room that is not there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "architecture.md"
# Packages whose own packages are rooms.
ROOMY = ("annotation", "training", "training/engine")


def described_rooms() -> dict[str, str]:
    """Path → description, from the fenced block whose first line is `annotation/`. Two blanks are one level."""
    block = re.search(r"^```\n(annotation/.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert block, "docs/architecture.md has no fenced block that starts with annotation/"
    rooms, parents = {}, []
    for line in block[1].splitlines():
        match = re.fullmatch(r"((?:  )*)(\w+)/ +(\S.*)", line)
        assert match, f"not a line of the tree: {line!r}"
        parents = [*parents[: len(match[1]) // 2], match[2]]
        path = "/".join(parents)
        assert path not in rooms, f"{path} is there twice"
        rooms[path] = match[3]
    return rooms


def packages(folder: Path) -> set[str]:
    """Packages directly below `folder`; folders with nothing but caches are no packages."""
    return {path.parent.relative_to(ROOT).as_posix() for path in folder.glob("*/__init__.py")}


def test_the_tree_of_the_architecture_page_equals_the_folders():
    actual = {"annotation", "training"}.union(*(packages(ROOT / folder) for folder in ROOMY))
    described = set(described_rooms())
    assert described - actual == set(), "in docs/architecture.md, but not a package"
    assert actual - described == set(), "a package without a line in docs/architecture.md"


@pytest.mark.parametrize(
    ("tests", "package"),
    [("tests/annotation", "annotation"), ("tests/training", "training"), ("tests/engine", "training/engine")],
)
def test_tests_fall_into_the_same_rooms(tests, package):
    rooms = {Path(path).name for path in packages(ROOT / package)}
    assert {Path(path).name for path in packages(ROOT / tests)} - rooms == set()


def test_every_decision_is_listed_and_has_its_three_parts():
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    pages = sorted(path for path in folder.glob("*.md") if path.name != "README.md")
    assert pages
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert f"({page.name})" in index, f"{page.name} is not in docs/decisions/README.md"
        for heading in ("## Context", "## Decision", "## Consequences"):
            assert heading in text, f"{page.name} has no {heading!r}"


def test_links_of_the_guides_lead_somewhere():
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("annotation/*.md"), *ROOT.glob("training/*.md")]
    broken = []
    for page in pages:
        for target in re.findall(
            r"\]\((?!https?://|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")
        ):
            if not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []
