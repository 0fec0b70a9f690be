"""Import contracts of our own, for import-linter: `allow_list` names what a package may import; all else is refused.

A deny-list fails open: a module added tomorrow is not on it. Here a new module below `source_modules` is covered as
soon as it exists, and a new third-party import has to be added to the list.
"""

import sys
from typing import Any

import grimp
from importlinter import Contract, ContractCheck, fields, output

STANDARD_LIBRARY = sys.stdlib_module_names


class AllowList(Contract):
    """Modules below `source_modules` (but for those below `except_modules`) import only themselves, `allowed_modules`
    (with all below them) and the standard library.
    """

    source_modules = fields.ListField(subfield=fields.StringField())
    except_modules = fields.ListField(subfield=fields.StringField(), required=False)
    allowed_modules = fields.ListField(subfield=fields.StringField())

    def check(self, graph: grimp.ImportGraph, verbose: bool) -> ContractCheck:
        sources, excepted = list(self.source_modules), list(self.except_modules or [])
        allowed = list(self.allowed_modules)
        broken: list[tuple[str, str]] = []
        for module in sorted(graph.modules):
            if not is_below(module, sources) or is_below(module, excepted):
                continue
            for imported in sorted(graph.find_modules_directly_imported_by(module)):
                if imported.split(".")[0] in STANDARD_LIBRARY:
                    continue
                own = is_below(imported, sources) and not is_below(imported, excepted)
                if not own and not is_below(imported, allowed):
                    broken.append((module, imported))
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        rows: list[tuple[str, Any]] = check.metadata["broken"]
        for importer, imported in rows:
            output.print_error(f"{importer} imports {imported}, which is not on its allow-list.")


def is_below(module: str, packages: list[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)
