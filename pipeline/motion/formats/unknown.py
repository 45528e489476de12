"""What to say of files that no reader takes: the commonest mistakes by their names, all others by what was expected."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from pipeline.motion.formats.arrays import ArrayFile, head_model_given, is_head_model
from pipeline.motion.formats.folder_file import FolderFile
from pipeline.motion.formats.sources import Source

MOST_TOLD = 4
"""Files whose content a sentence lists."""


class Kind(Protocol):
    """The part of a format that is needed here."""

    @property
    def name(self) -> str: ...
    @property
    def expects(self) -> str: ...


def unknown(sources: Sequence[Source], alone: Sequence[Kind | None], kinds: Sequence[Kind]) -> str:
    """One sentence on ``sources``; ``alone`` is the format of each by itself, None where it has none, and ``kinds``
    are all formats."""
    for source in sources:
        if isinstance(source, ArrayFile) and is_head_model(source.arrays):
            return head_model_given(source.name)
    clips = [f"{source.name} ({kind.name})" for source, kind in zip(sources, alone, strict=True) if kind is not None]
    rest = [source for source, kind in zip(sources, alone, strict=True) if kind is None]
    if rest and len(clips) > 1 and len({kind for kind in alone if kind is not None}) == 1:
        told = " and ".join(source.summary() for source in rest[:MOST_TOLD])
        return f"no motion was found in {told}, given together with {_listed(clips)}; leave it out, or save it again"
    if clips and len(sources) > 1:
        return _apart(clips, [source.name for source in rest])
    told = " and ".join(source.summary() for source in sources[:MOST_TOLD])
    endings = {_ending(source) for source in sources}
    wanted = "; or ".join(
        f"{kind.expects} ({kind.name})" for kind in kinds if any(end in kind.expects for end in endings)
    )
    every = f"a file of {', '.join(kind.name for kind in kinds)}"
    hint = "; if one of the files in it is the clip, give that file itself" if _has_files(sources) else ""
    return f"no motion was found in {told}; expected was {wanted or every}{hint}"


def _apart(clips: Sequence[str], rest: Sequence[str]) -> str:
    """Files that were given as one clip, of which some are a clip each."""
    if len(clips) == 1:
        return f"{clips[0]} is a clip of its own, to which {_listed(rest)} does not belong; give it alone"
    return f"{_listed(clips)} are clips of their own and no parts of one; give one of them"


def _listed(names: Sequence[str]) -> str:
    shown = [*names[:MOST_TOLD], *([f"{len(names) - MOST_TOLD} more"] if len(names) > MOST_TOLD else [])]
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def _ending(source: Source) -> str:
    if isinstance(source, FolderFile):
        return "folder"
    return Path(source.name).suffix.lower() or "folder"


def _has_files(sources: Sequence[Source]) -> bool:
    return any(isinstance(source, FolderFile) and source.members for source in sources)
