"""The published gallery of AnimPortrait3D: one zip per head, previews beside them.

| in the repository | holds |
|---|---|
| <id>.zip | point_cloud.ply, fitted_params.pkl, prompt.txt, perhaps in a folder |
| preview/<id>….png | views of 800 pixels side by side, 3200 wide |

Names are matched by their ends, so that a folder more or less does no harm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from pipeline.avatar_folder import MOST_PROMPT_BYTES, as_prompt
from pipeline.gallery.source import HEAD_ID, Described
from pipeline.gallery.thumbnails import LARGEST_PICTURE, SUFFIXES, Layout
from pipeline.hub.client import Hub
from pipeline.hub.errors import Damaged, NoParts
from pipeline.hub.line import Cancel, Progress
from pipeline.hub.listing import HubFile, Listing
from pipeline.hub.remote_zip import RemoteZip
from pipeline.hub.repositories import ANIMPORTRAIT3D_GALLERY, Repository
from pipeline.importing import missing_for_animportrait3d

LARGEST_ZIP = 2 << 30
"""Bytes; half a million splats of 260 bytes have 130 MB."""
LICENCE = ANIMPORTRAIT3D_GALLERY.licence
"""As its authors say of the code and the results; the head itself stands on SMPL-X, which has a licence of its own."""


class AnimPortrait3DSource:
    """See `Source`."""

    name = "animportrait3d"
    repository = ANIMPORTRAIT3D_GALLERY
    follows = False
    layout: Layout = "views"

    def missing(self) -> str:
        return missing_for_animportrait3d()

    def parts(self, listing: Listing) -> dict[str, tuple[HubFile, ...]]:
        previews = _previews(listing)
        parts = {}
        for file in listing.files:
            path = PurePosixPath(file.path)
            if path.suffix.lower() == ".zip" and HEAD_ID.fullmatch(path.stem):
                parts[file.path] = (file, *_preview_of(path.stem, previews))
        return parts

    def describe(
        self, hub: Hub, repository: Repository, part: str, known: frozenset[str], cancel: Cancel
    ) -> Iterator[Described]:
        head_id = PurePosixPath(part).stem
        if head_id in known:
            return
        beside = _preview_of(head_id, _previews(hub.listing(repository, cancel)))
        picture = hub.read(repository, beside[0].path, LARGEST_PICTURE, cancel) if beside else None
        prompt, inside = self._inside(hub, repository, part, picture is None, cancel)
        yield Described(head_id, prompt, LICENCE, picture or inside, {"zip": part})

    def _inside(
        self, hub: Hub, repository: Repository, part: str, with_picture: bool, cancel: Cancel
    ) -> tuple[str, bytes | None]:
        """The prompt, and a preview where one is asked for and there; nothing where the server sends no parts."""
        try:
            with hub.open_zip(repository, part, cancel) as archive:
                prompt = _member(archive, lambda path: path.name == "prompt.txt")
                picture = _member(archive, lambda path: path.suffix.lower() in SUFFIXES) if with_picture else None
                return (
                    as_prompt(archive.read(prompt, MOST_PROMPT_BYTES)) if prompt else "",
                    archive.read(picture, LARGEST_PICTURE) if picture else None,
                )
        except NoParts:
            return "", None

    def fetch(
        self, hub: Hub, repository: Repository, files: dict[str, str], progress: Progress, cancel: Cancel, whole: bool
    ) -> Path:
        listed = hub.listing(repository, cancel).get(files["zip"])
        if listed is not None and listed.size > LARGEST_ZIP:
            raise Damaged(f"{files['zip']} of {repository.id} has {listed.size:,} bytes, more than a head can have")
        return hub.download(repository, files["zip"], progress, cancel)


def _previews(listing: Listing) -> list[tuple[PurePosixPath, HubFile]]:
    """The pictures in folders of previews."""
    files = [(PurePosixPath(file.path), file) for file in listing.files]
    return [
        (path, file)
        for path, file in files
        if path.suffix.lower() in SUFFIXES and "preview" in str(path.parent).lower()
    ]


def _preview_of(head_id: str, previews: list[tuple[PurePosixPath, HubFile]]) -> list[HubFile]:
    """The first preview of that head, if there is one."""
    return [file for path, file in previews if _belongs(path, head_id)][:1]


def _belongs(preview: PurePosixPath, head_id: str) -> bool:
    """Whether a preview is of that head: its name, or its folder's, is the id, or begins with it and a separator."""
    rest = preview.stem.removeprefix(head_id)
    return preview.parent.name == head_id or (preview.stem.startswith(head_id) and (not rest or not rest[0].isalnum()))


def _member(archive: RemoteZip, is_it: Callable[[PurePosixPath], bool]) -> str | None:
    return next((name for name in archive.names() if is_it(PurePosixPath(name))), None)
