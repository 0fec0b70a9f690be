"""The version of the program: from git where it can be run, else from the repository's files."""

import subprocess
from pathlib import Path

from annotation.core.version import commit_from_files, git_commit, version

IDENTITY = ["-c", "user.name=Aiko", "-c", "user.email=aiko@example.org"]


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *IDENTITY, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_a_checkout_is_named_by_its_commit_and_its_local_changes(tmp_path: Path) -> None:
    assert git_commit(tmp_path) is None
    git(tmp_path, "init", "-q")
    (tmp_path / "code.py").write_text("one")
    git(tmp_path, "add", "code.py")
    git(tmp_path, "commit", "-q", "-m", "first")
    commit = git(tmp_path, "rev-parse", "--short=12", "HEAD")
    git(tmp_path, "tag", "-a", "v1", "-m", "a release")
    assert git_commit(tmp_path) == commit, "a tag does not take the commit's place"
    (tmp_path / "code.py").write_text("two")
    assert git_commit(tmp_path) == f"{commit}.dirty"


def test_without_git_the_commit_is_read_from_the_repository(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert commit_from_files(tmp_path / ".git") is None, "nothing was committed yet"
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "first")
    commit = git(tmp_path, "rev-parse", "--short=12", "HEAD")
    assert commit_from_files(tmp_path / ".git") == commit
    git(tmp_path, "pack-refs", "--all")
    assert commit_from_files(tmp_path / ".git") == commit
    git(tmp_path, "checkout", "-q", "--detach")
    assert commit_from_files(tmp_path / ".git") == commit


def test_the_version_starts_with_the_number_of_the_release() -> None:
    assert version().startswith("0.")
