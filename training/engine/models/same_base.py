"""Whether the adapters of a chain were trained on what they are put on: by the hashes in their lineage.json.

An adapter that Konomi did not make names its base in adapter_config.json, which is compared by name.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from training.contract import lineage, model_shape
from training.contract.config import ALLOW_OTHER_BASE, ModelSource
from training.contract.errors import ModelError
from training.contract.lineage import Link, link_of
from training.engine.runtime import distributed

log = logging.getLogger("konomi.engine")

OVERRULE = f"if you are sure, overrule this with {ALLOW_OTHER_BASE.flag} (model.allow_other_base in run.json)"


def check(source: ModelSource) -> None:
    """Raises ModelError where an adapter belongs to another base, unless the source allows that; then it is logged.

    Of several processes one looks: it reads every byte of the chain.
    """
    if not source.adapters or not distributed.is_main_process():
        return
    fault = fault_of(source)
    if fault and not source.allow_other_base:
        raise ModelError(f"{fault}. Give the base that it names; {OVERRULE}")
    if fault:
        log.warning("%s: allowed", fault)


def overruled(source: ModelSource) -> str:
    """What was overruled, in words without paths, for lineage and card; empty where everything fits."""
    return fault_of(source, local=False) if source.adapters and source.allow_other_base else ""


def recorded(*sources: ModelSource | None) -> dict[str, str]:
    """What was overruled, for result.json; empty where everything fits."""
    words = dict.fromkeys(filter(None, (overruled(source) for source in sources if source is not None)))
    return {"other_base": "; ".join(words)} if words else {}


def fault_of(source: ModelSource, *, local: bool = True) -> str:
    """The first adapter from the end that does not belong to the links below it, in words; empty where all do.

    An adapter with hashes vouches for all links below it: what was decided about those was decided at its training.
    """
    for place in range(len(source.adapters) - 1, -1, -1):
        adapter, below = source.adapters[place], (source.base, *source.adapters[:place])
        made = lineage.read(Path(adapter))
        if made is None:
            fault = _foreign_fault(adapter, below)
        elif all(link.sha256 for link in made.links):
            fault = _fault_by_hash(made.links, below)
        else:
            fault = _fault_by_name(made.links, below)
        if fault:
            return f"{adapter if local else lineage.link_name(adapter)} {fault}"
        if made is not None:
            return ""
    return ""


def _fault_by_hash(expected: Sequence[Link], below: Sequence[str]) -> str:
    given = [link_of(folder) for folder in below]
    merged = lineage.read(Path(below[0]))
    ways = [[link.sha256 for link in given]]
    if merged is not None and merged.merged:  # a base that is the merged chain stands for its links
        ways.append([*(link.sha256 for link in merged.merged), *ways[0][1:]])
    if [link.sha256 for link in expected] in ways:
        return ""
    return f"was trained on {_words(expected)}, and not on {_words(given)}"


def _fault_by_name(expected: Sequence[Link], below: Sequence[str]) -> str:
    """For lineages without hashes, of earlier versions and of hub models."""
    if len(expected) == len(below) and all(
        _same_name(link.name, folder) for link, folder in zip(expected, below, strict=True)
    ):
        return ""
    given = [Link(lineage.link_name(folder)) for folder in below]
    return f"was trained on {_words([Link(lineage.link_name(link.name)) for link in expected])}, not on {_words(given)}"


def _foreign_fault(adapter: str, below: Sequence[str]) -> str:
    config = Path(adapter) / "adapter_config.json"
    named = str(model_shape.read_config(config).get("base_model_name_or_path") or "") if config.is_file() else ""
    if not named:
        log.warning("%s names no base (base_model_name_or_path): that it belongs to this one is not checked", adapter)
        return ""
    if any(_same_name(named, folder) for folder in below):
        return ""
    return f"names {lineage.link_name(named)} as its base, and is used on {lineage.link_name(below[0])}"


def _same_name(named: str, folder: str) -> bool:
    """Whether a name, or a path on whatever machine, means this folder."""
    one, other = Path(named), Path(folder)
    if one.is_dir() and other.is_dir():
        return one.samefile(other) or link_of(named).sha256 == link_of(folder).sha256
    names = [lineage.link_name(link).rpartition("/")[2].lower() for link in (named, folder)]
    return names[0] == names[1]


def _words(links: Sequence[Link]) -> str:
    return " + ".join(f"{link.name} (sha256 {link.sha256[:12]}…)" if link.sha256 else link.name for link in links)
