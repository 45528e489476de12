"""A diffusion model in diffusers' layout, on disk or on the Hub, and those of its files that are needed.

Repositories of models hold each component several times (as safetensors, as pickles, in half precision, once more
inside single-file checkpoints of gigabytes): here one form of each component is chosen and nothing else is brought.
"""

from __future__ import annotations

import glob
import json
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import constants, get_cached_repo_tree, snapshot_download
from huggingface_hub.errors import CachedRepoTreeNotFoundError

from pipeline.errors import UserError
from pipeline.hub.errors import megabytes
from pipeline.hub.repositories import Repository

INDEX, CONFIG = "model_index.json", "config.json"
HUB_NAME = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(?:/(?P<subfolder>[\w.-]+(?:/[\w.-]+)*))?(?:@(?P<revision>[\w./-]+))?")
WEIGHTS = re.compile(
    r"(?:diffusion_pytorch_|pytorch_)?model(?:\.(?P<variant>\w+))?(?:-\d+-of-\d+)?\.(?P<form>safetensors|bin)"
)
SMALL = (".json", ".txt", ".model")
"""Configurations and vocabularies."""
SNAPSHOT = re.compile(r"models--(?P<owner>[^/\\]+?)--(?P<name>[^/\\]+)[/\\]snapshots[/\\](?P<commit>[0-9a-f]{7,40})")
Check = Callable[[dict[str, Any], str], None]
"""Takes a pipeline's index, and how it is told."""
HUB_OPTIONS = ("cache_dir", "token", "local_files_only", "force_download")
SPARE = 200_000_000
"""Bytes that stay free on the disk."""


class NoPipelineError(UserError):
    """A repository or folder without the index of a pipeline."""


@dataclass(frozen=True)
class Source:
    """A folder, or a repository of the Hub at one of its states."""

    name: str
    """Path of the folder, or ``owner/name``."""
    subfolder: str = ""
    revision: str | None = None
    """Commit, branch or tag; None is ``main``."""

    @classmethod
    def parse(cls, text: str | Path) -> Source:
        """A folder that is there, or ``owner/name``, ``owner/name/subfolder``, each perhaps with ``@revision``.

        Raises `UserError` for anything else.
        """
        if Path(text).expanduser().is_dir():
            return cls(str(Path(text).expanduser()))
        found = HUB_NAME.fullmatch(str(text))
        if found is None or ".." in str(text):
            raise UserError(f"there is no folder {text}, and a model on the Hub is named as owner/name")
        return cls(found["name"], found["subfolder"] or "", found["revision"])

    @classmethod
    def of(cls, repository: Repository, subfolder: str = "") -> Source:
        """A repository of our table at its pinned state."""
        return cls(repository.id, subfolder, repository.revision)

    @property
    def is_folder(self) -> bool:
        """Whether it is on disk already."""
        return Path(self.name).is_dir()

    def __str__(self) -> str:
        """As `parse` reads it."""
        place = f"{self.name}/{self.subfolder}" if self.subfolder else self.name
        return f"{place}@{self.revision}" if self.revision else place


def told_source(path: str | Path, component: str) -> str:
    """What a recipe tells of the place that a component was loaded from: repository and commit, or the folder's name.

    ``path`` as diffusers keeps it, a folder of the Hub's cache or any other; nothing else of it is told, since it names
    places of this machine.
    """
    found = SNAPSHOT.search(str(path))
    if found is not None:
        return f"{found['owner']}/{found['name']}@{found['commit']}"
    if HUB_NAME.fullmatch(str(path)) and not Path(path).exists():
        return str(path)
    parts = [part for part in Path(path).parts if part != component]
    return parts[-1] if parts else "made in this process"


def fetch_pipeline(
    source: Source, components: Sequence[str], variant: str | None, check: Check, **options: Any
) -> Path:
    """Bring ``components`` of a pipeline, each in one form; the folder on disk.

    ``check`` sees the index before anything large comes, and raises for a pipeline of another kind. ``options`` are
    those of `huggingface_hub.snapshot_download`. What the index does not name is not brought. Raises `UserError` for a
    repository that is no pipeline, or a disk too small for it; errors of the Hub pass through.
    """
    folder = _brought(source, [INDEX], options)
    index = read_index(folder, str(source))
    check(index, str(source))
    named = [name for name in components if isinstance(index.get(name), list) and index[name][0]]
    return _with_files(source, folder, named, variant, options)


def fetch_component(source: Source, variant: str | None = None, **options: Any) -> Path:
    """Bring one component, which is the repository or its subfolder; the component's folder on disk.

    Raises as `fetch_pipeline` does.
    """
    config = "/".join(filter(None, (source.subfolder, CONFIG)))
    folder = _brought(source, [config], options)
    if not (folder / config).is_file():
        raise UserError(f"{source} has no {config}; name a repository, or a subfolder of one, that diffusers can load")
    return _with_files(source, folder, [source.subfolder], variant, options) / source.subfolder


def load_component(kind: Any, source: Source, variant: str | None = None, **options: Any) -> Any:
    """A model of diffusers' class ``kind`` from a folder or from the Hub.

    ``options`` are those of its ``from_pretrained``; those that `huggingface_hub.snapshot_download` knows are asked of
    it too. Weights that exist as pickles alone are read as tensors and nothing else.
    """
    hub = {name: options.pop(name) for name in HUB_OPTIONS if name in options}
    folder = Path(source.name) / source.subfolder if source.is_folder else fetch_component(source, variant, **hub)
    kept = variant if has_variant(folder, variant) else None
    return kind.from_pretrained(str(folder), variant=kept, local_files_only=True, **options)


def read_index(folder: Path, told: str) -> dict[str, Any]:
    """model_index.json of a pipeline. Raises `UserError` where there is none."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NoPipelineError(
            f"{told} has no {INDEX} that can be read; name a pipeline in diffusers' layout"
        ) from error
    if not isinstance(index, dict):
        raise UserError(f"{INDEX} of {told} names no components; name a pipeline in diffusers' layout")
    return index


def component_files(files: Iterable[str], folder: str, variant: str | None) -> list[str]:
    """Of the paths of a repository those that one component needs, ``folder`` being its own; "" is the root.

    Weights come in the ``variant`` where there is one, else in the plain form; as safetensors where there are some. A
    component that is a pipeline itself comes whole, without pickles and code.
    """
    files = list(files)
    start = f"{folder}/" if folder else ""
    if start + INDEX in files:
        return [file for file in files if file.startswith(start) and file.endswith((*SMALL, ".safetensors"))]
    names = [file[len(start) :] for file in files if file.startswith(start) and "/" not in file[len(start) :]]
    found = {name: match for name in names if (match := WEIGHTS.fullmatch(name))}
    for kind, form in ((variant, "safetensors"), (None, "safetensors"), (variant, "bin"), (None, "bin")):
        weights = [name for name, match in found.items() if (match["variant"], match["form"]) == (kind, form)]
        if weights:
            break
    else:
        weights = []
    return [start + name for name in names if name.endswith(SMALL) or name in weights]


def has_variant(folder: Path, variant: str | None) -> bool:
    """Whether the weights of a component's folder are there in this variant."""
    found = (WEIGHTS.fullmatch(file.name) for file in folder.iterdir())
    return variant is not None and any(match["variant"] == variant for match in found if match)


def _with_files(
    source: Source, folder: Path, components: list[str], variant: str | None, options: dict[str, Any]
) -> Path:
    """``folder``, the snapshot of a repository, with the files of its components."""
    listing = _listing(source.name, folder, options.get("cache_dir"))
    wanted = sorted({file for name in components for file in component_files(listing, name, variant)})
    lacking = [file for file in wanted if options.get("force_download") or not (folder / file).is_file()]
    if not lacking:
        return folder
    _check_room(source, sum(listing[file] for file in lacking), options.get("cache_dir"))
    return _brought(Source(source.name, revision=folder.name), wanted, options)


def _brought(source: Source, files: list[str], options: dict[str, Any]) -> Path:
    patterns = [glob.escape(file) for file in files]
    return Path(snapshot_download(source.name, revision=source.revision, allow_patterns=patterns, **options))


def _listing(name: str, folder: Path, cache_dir: str | None) -> dict[str, int]:
    """Path → bytes of every file of the repository, or, where only old files are there, of those on disk."""
    try:
        tree = get_cached_repo_tree(name, revision=folder.name, cache_dir=cache_dir)
    except CachedRepoTreeNotFoundError:
        return {file.relative_to(folder).as_posix(): 0 for file in folder.rglob("*") if file.is_file()}
    return {file.path: file.size or 0 for file in tree}


def _check_room(source: Source, size: int, cache_dir: str | None) -> None:
    """Raise `UserError` where ``size`` bytes do not fit on the disk of the Hub's cache."""
    cache = Path(cache_dir or constants.HF_HUB_CACHE).expanduser()
    nearest = next(place for place in (cache, *cache.absolute().parents) if place.exists())
    free = shutil.disk_usage(nearest).free
    if size and size + SPARE > free:
        raise UserError(
            f"{source} needs {megabytes(size)} in {cache}, where {megabytes(free)} are free; "
            "free some space there, or set HF_HOME to a folder on a larger disk"
        )
