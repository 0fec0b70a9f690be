"""The contract is standard library only: both sides, and any machine with a copy of a run directory, can import it."""

import json
import subprocess
import sys

from tests.training.conftest import ROOT

LIST_THIRD_PARTY = """
import importlib, json, pkgutil, sys
before = set(sys.modules)
import training.contract
for module in pkgutil.walk_packages(training.contract.__path__, "training.contract."):
    importlib.import_module(module.name)
names = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps(sorted(names - sys.stdlib_module_names - {"training"})))
"""


def test_the_contract_imports_no_third_party_module():
    done = subprocess.run(
        [sys.executable, "-c", LIST_THIRD_PARTY], cwd=ROOT, text=True, capture_output=True, check=True
    )
    assert json.loads(done.stdout) == []
