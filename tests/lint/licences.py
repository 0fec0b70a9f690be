"""Which licences come with Konomi: fails on GPL and AGPL in what it requires at run time.

Walks the requirements of the installed `konomi` (its runtime dependencies, not its extras) with importlib.metadata.
A distribution whose licence is copyleft passes only with a reason in ALLOWED. Konomi is Apache-2.0; a library under
the GPL would bind everybody who redistributes it.
"""

import re
import sys
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Copyleft that we accept, and why.
ALLOWED = {
    "psycopg": "LGPL-3.0: a library used unchanged, which anybody can replace",
    "psycopg-binary": "LGPL-3.0: as psycopg; the wheel with libpq",
}
COPYLEFT = re.compile(r"\b(?:A|L)?GPL|General Public License", re.IGNORECASE)


def runtime_distributions(root: str = "konomi") -> list[metadata.Distribution]:
    """The distributions that `root` requires on this machine, directly or not. Uninstalled ones are left out."""
    waiting: list[tuple[str, frozenset[str]]] = [(root, frozenset())]
    visited: set[tuple[str, frozenset[str]]] = set()
    distributions: dict[str, metadata.Distribution] = {}
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in visited:
            continue
        visited.add((name, extras))
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            if name == root:
                raise
            continue
        distributions[name] = distribution
        for line in distribution.requires or []:
            requirement = Requirement(line)
            environments = [{"extra": extra} for extra in extras or {""}]
            if requirement.marker is None or any(requirement.marker.evaluate(each) for each in environments):
                waiting.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    distributions.pop(root)
    return [distributions[name] for name in sorted(distributions)]


def licence_of(distribution: metadata.Distribution) -> str:
    """The SPDX expression where there is one, else the classifiers, else the first line of the free text."""
    fields = distribution.metadata
    if expression := fields.get("License-Expression"):
        return expression
    classifiers = [line.split("::")[-1].strip() for line in fields.get_all("Classifier") or [] if "License ::" in line]
    if classifiers and classifiers != ["OSI Approved"]:
        return "; ".join(classifiers)
    return (fields.get("License") or "").strip().split("\n")[0][:100]


def problem(name: str, licence: str) -> str | None:
    """Why this distribution may not be required, or None."""
    if canonicalize_name(name) in ALLOWED:
        return None
    # "MIT OR GPL-2.0" may be taken under MIT.
    alternatives = re.split(r"\bOR\b|;", licence)
    if licence and all(COPYLEFT.search(alternative) for alternative in alternatives):
        return f"{name}: {licence}. Replace it, or give the reason in tests/lint/licences.py (ALLOWED)."
    return None


def main() -> int:
    distributions = runtime_distributions()
    problems = []
    unknown = []
    for distribution in distributions:
        name, licence = distribution.metadata["Name"], licence_of(distribution)
        if not licence:
            unknown.append(name)
        if reason := problem(name, licence):
            problems.append(reason)
    print("\n".join(problems) or f"licences: {len(distributions)} distributions, none under the GPL or AGPL")
    if unknown:
        print(f"licences: no licence in the metadata of {', '.join(unknown)}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
