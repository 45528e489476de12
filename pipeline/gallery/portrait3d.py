"""The published gallery of Portrait3D: zips of some ten heads and 1.4 GB each, of which single members are read.

A zip holds ``NNN/NNN_pyramid_trigrid.pth``, ``NNN/NNN_prompt.txt`` and ``NNN/NNN_preview.png`` of every head, and more.
Members are matched by what their names say, in whatever folder they lie.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pipeline.avatar_folder import MOST_PROMPT_BYTES, as_prompt
from pipeline.errors import UserError
from pipeline.gallery.source import HEAD_ID, Described
from pipeline.gallery.thumbnails import LARGEST_PICTURE, SUFFIXES, Layout
from pipeline.hub.client import Hub
from pipeline.hub.line import Cancel, Progress
from pipeline.hub.listing import HubFile, Listing
from pipeline.hub.remote_zip import RemoteZip
from pipeline.hub.repositories import PORTRAIT3D_GALLERY, Repository
from pipeline.priors.portrait3d.weights import find_painter

LARGEST_TRIGRID = 512 << 20
"""Bytes; the 37.7 million numbers of one have 151 MB."""
NAME = re.compile(r"(?P<id>[^_]+)[_-](?P<what>.+)")
ONLY_SHOWN = "only the picture and the prompt can be used here: "


class Portrait3DSource:
    """See `Source`."""

    name = "portrait3d"
    repository = PORTRAIT3D_GALLERY
    follows = False
    layout: Layout = "single"

    def missing(self) -> str:
        """The decoder, where it is not here; with it a head can be put on a rig, which takes minutes."""
        try:
            find_painter()
        except UserError as error:
            return ONLY_SHOWN + str(error)
        return ""

    def parts(self, listing: Listing) -> dict[str, tuple[HubFile, ...]]:
        return {file.path: (file,) for file in listing.files if file.path.lower().endswith(".zip")}

    def describe(
        self, hub: Hub, repository: Repository, part: str, known: frozenset[str], cancel: Cancel
    ) -> Iterator[Described]:
        with hub.open_zip(repository, part, cancel) as archive:
            for head_id, members in heads(archive.names()).items():
                if head_id not in known:
                    yield self._described(archive, part, head_id, members)

    def _described(self, archive: RemoteZip, part: str, head_id: str, members: dict[str, str]) -> Described:
        prompt = as_prompt(archive.read(members["prompt"], MOST_PROMPT_BYTES)) if "prompt" in members else ""
        picture = archive.read(members["preview"], LARGEST_PICTURE) if "preview" in members else None
        files = {"zip": part, "trigrid": members["trigrid"]}
        return Described(head_id, prompt, self.repository.licence, picture, files)

    def fetch(
        self, hub: Hub, repository: Repository, files: dict[str, str], progress: Progress, cancel: Cancel, whole: bool
    ) -> Path:
        return hub.download_member(
            repository, files["zip"], files["trigrid"], LARGEST_TRIGRID, progress, cancel, whole=whole
        )


def heads(names: list[str]) -> dict[str, dict[str, str]]:
    """Id of a head → role (``trigrid``, ``prompt``, ``preview``) → member; only heads that have a tri-grid."""
    found: dict[str, dict[str, str]] = {}
    for name in names:
        head_id, role = _read(PurePosixPath(name))
        if role and HEAD_ID.fullmatch(head_id):
            found.setdefault(head_id, {}).setdefault(role, name)
    return {head_id: members for head_id, members in found.items() if "trigrid" in members}


def _read(path: PurePosixPath) -> tuple[str, str]:
    """(id, role) that a member's name tells; the role is empty where it is none that is read here."""
    named = NAME.fullmatch(path.stem)
    head_id, what = (named["id"], named["what"]) if named else (path.parent.name, path.stem)
    what, suffix = what.lower(), path.suffix.lower()
    if suffix == ".pth" and "trigrid" in what:
        return head_id, "trigrid"
    if suffix == ".txt" and "prompt" in what:
        return head_id, "prompt"
    if suffix in SUFFIXES and "preview" in what:
        return head_id, "preview"
    return head_id, ""
