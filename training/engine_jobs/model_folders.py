"""Which model folders may be loaded: those below settings.MODEL_ROOTS that hold safetensors, and nothing else."""

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _

from annotation.core.errors import InvalidInput
from training.contract import lineage, model_files
from training.contract.config import ModelSource
from training.contract.errors import ModelError
from training.contract.weights import weight_files

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
# Deep enough for roots that hold publisher/model folders, shallow enough to stay quick on a shared disk.
SEARCH_DEPTH = 3


@dataclass(frozen=True)
class ModelFolder:
    """A folder that a form may offer: `name` is what a person reads and types, `path` what a run stores."""

    name: str
    path: Path


class ModelRefused(InvalidInput):
    """A model that may not be loaded; the message lists the roots."""


def roots() -> list[Path]:
    return [Path(root).resolve() for root in settings.MODEL_ROOTS]


def resolve(name: str) -> Path:
    """The folder of that name: absolute, relative to a root, or relative to where the program was started.

    Where several roots have a folder of one name, `root/name` means that of the root that is called so.

    Raises ModelRefused for a folder outside of the roots (also by a symbolic link, of the folder or of a file in it),
    and for one without config.json (or adapter_config.json) and safetensors weights.
    """
    try:
        model_files.check_name(name)
        given = Path(name).expanduser()
        places = [given] if given.is_absolute() else [*(root / given for root in roots()), *_in_root_called(given)]
        places += [] if given.is_absolute() else [Path.cwd() / given]
        folders = [model_files.real(place) for place in places]
    except (ModelError, RuntimeError) as error:  # RuntimeError: of ~ without a home
        raise ModelRefused(str(error)) from error
    for folder in folders:
        # A place outside says nothing of what exists there.
        if _is_below_a_root(folder) and os.path.isdir(folder):
            _check(folder)
            return folder
    raise ModelRefused(
        _("no model folder %(name)s under %(roots)s; add roots with KONOMI_MODEL_ROOTS")
        % {"name": f"{name!r}", "roots": _roots_text()}
    )


def source_of(name: str, above: tuple[Path, ...] = ()) -> ModelSource:
    """The chain that loads this model: a base, or an adapter folder on the base (or adapter) that it names itself.

    `above`: the adapters whose base this is. Where the operator allows a hub, a name such as `publisher/model` that is
    no folder is passed on as it is.
    """
    if (
        settings.ALLOW_HUB
        and HUB_NAME.fullmatch(name)
        and not any(map(os.path.exists, (root / name for root in roots())))
    ):
        return ModelSource(base=name)
    folder = resolve(name)
    if folder in above:
        chain = " → ".join(map(str, (*above, folder)))
        raise ModelRefused(
            _("%(folder)s is an adapter of itself (%(chain)s): have its adapter_config.json name its base")
            % {"folder": folder, "chain": chain}
        )
    above = (*above, folder)
    if (folder / "config.json").is_file() and not (folder / "adapter_config.json").is_file():
        return ModelSource(base=str(folder))
    try:
        made = lineage.read(folder)
        known = lineage.local_chain(folder)
    except ModelError as error:
        raise ModelRefused(str(error)) from error
    if known is not None:  # by paths, which must be below the roots as well
        below = [str(resolve(link)) for link in known.adapters[:-1]]
        if str(folder) in below:
            raise ModelRefused(_("%(folder)s is an adapter of itself: its lineage.json is wrong") % {"folder": folder})
        return ModelSource(base=source_of(known.base, above).base, adapters=(*below, str(folder)))
    if made is not None:
        base, *adapters = (_find(link, folder, above) for link in made.links)
        return ModelSource(base=base, adapters=(*adapters, str(folder)))
    try:
        named = model_files.read_json(folder / "adapter_config.json").get("base_model_name_or_path")
    except ModelError as error:
        raise ModelRefused(str(error)) from error
    if not named or not isinstance(named, str):
        raise ModelRefused(
            _("%(folder)s is an adapter without a base model (base_model_name_or_path)") % {"folder": folder}
        )
    on = source_of(named, above)
    return ModelSource(base=on.base, adapters=(*on.adapters, str(folder)))


def _find(link: lineage.Link, adapter: Path, above: tuple[Path, ...]) -> str:
    """The folder below the roots that a lineage means by its name; of several, the one with its weights."""
    if not link.sha256:
        with contextlib.suppress(ModelRefused):
            return source_of(link.name, above).base
    named: list[Path] = []
    for root in roots():
        for folder in _folders(root, SEARCH_DEPTH) if root.is_dir() else ():
            with contextlib.suppress(ModelRefused, ModelError):
                if lineage.link_name(str(folder)) == link.name and resolve(str(folder)) not in above:
                    named.append(resolve(str(folder)))
    for folder in dict.fromkeys(named):
        with contextlib.suppress(ModelError):
            if lineage.link_of(str(folder)).sha256 == link.sha256:
                return str(folder)
    if named:
        return str(named[0])  # other weights: the engine refuses them, or is told to use them
    raise ModelRefused(
        _("%(adapter)s was trained on %(name)s (sha256 %(sha256)s), and no folder of that name is under %(roots)s")
        % {"adapter": adapter, "name": link.name, "sha256": link.sha256 or "?", "roots": _roots_text()}
    )


def base_models() -> list[ModelFolder]:
    """Whole models below the roots, by name. What runs produced is left out: those are checkpoints, with a lineage."""
    found: dict[Path, ModelFolder] = {}
    for root in roots():
        if root == (settings.VAR / "runs").resolve() or not root.is_dir():
            continue
        for folder in _folders(root, SEARCH_DEPTH):
            with contextlib.suppress(ModelRefused):
                path = resolve(str(folder))
                if (path / "config.json").is_file():
                    found.setdefault(path, ModelFolder(name=name_to_give(str(path)), path=path))
    return sorted(found.values(), key=lambda folder: folder.name)


def short_name(name: str) -> str:
    """A folder as people know it: relative to its root, or as in a hub whose cache it is in."""
    path = Path(name)
    cache = path.parent.parent.name  # models--publisher--model/snapshots/<commit>
    if path.parent.name == "snapshots" and cache.startswith("models--"):
        return cache.removeprefix("models--").replace("--", "/")
    for root in roots():
        if path != root and path.is_relative_to(root):
            return str(path.relative_to(root))
    return path.name if path.is_absolute() else name


def name_to_give(name: str) -> str:
    """What to type for this model on any machine that has it: its short name, or more of its path if that is another.

    Of a path no more is given than tells the models of this machine apart.
    """
    short = short_name(name)
    try:
        path = resolve(name)
    except ModelRefused:
        return short  # it is not on this machine any more, or a hub's name
    for root in roots():
        if path.is_relative_to(root):
            below = path.relative_to(root).parts
            longer = [str(Path(*root.parts[len(root.parts) - more :], *below)) for more in range(len(root.parts))]
            return next((text for text in (short, *longer) if _means(text, path)), short)
    return short


def _means(text: str, path: Path) -> bool:
    try:
        return resolve(text) == path
    except ModelRefused:
        return False


def _in_root_called(given: Path) -> list[Path]:
    """The folders that a name means whose first parts are the last ones of a root."""
    places = []
    for root in roots():
        for more in range(1, len(given.parts) + 1):
            if root.parts[-more:] == given.parts[:more]:
                places.append(root.joinpath(*given.parts[more:]))
    return places


def _folders(folder: Path, depth: int) -> list[Path]:
    if not depth:
        return [folder]
    try:
        children = [child for child in folder.iterdir() if child.is_dir() and not child.name.startswith(".")]
    except OSError:  # what may not be read is not offered
        return []
    return [folder, *(deeper for child in children for deeper in _folders(child, depth - 1))]


def _is_below_a_root(path: Path) -> bool:
    return any(path.is_relative_to(root) for root in roots())


def _check(folder: Path) -> None:
    if not any((folder / name).is_file() for name in ("config.json", "adapter_config.json")):
        raise ModelRefused(_("%(folder)s has no config.json: not a model in Hugging Face layout") % {"folder": folder})
    try:
        model_files.check(folder, roots())
        complete = bool(weight_files(folder))
    except ModelError as error:
        raise ModelRefused(str(error)) from error
    if not complete:
        pickles = ", ".join(sorted(file.name for file in folder.glob("*.bin")))
        if pickles:
            raise ModelRefused(
                _(
                    "%(folder)s has no *.safetensors weights (%(pickles)s are pickles, which can run code and are "
                    "never loaded: convert them)"
                )
                % {"folder": folder, "pickles": pickles}
            )
        raise ModelRefused(_("%(folder)s has no *.safetensors weights") % {"folder": folder})


def _roots_text() -> str:
    return "the allowed roots " + ", ".join(map(str, roots()))
