"""Videos of a moving avatar: posing, drawing and encoding, each a step ahead of the next.

rig.pose in batches ─► splats of the frame ─► picture ─► ffmpeg
   (one thread)            (same thread)       (one)    (its own process, fed by the caller)
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image, ImageColor
from torch import Tensor

from pipeline.avatar import Gaussians, SplatAvatar
from pipeline.errors import UserError
from pipeline.files import whole_file, whole_folder, writing
from pipeline.rendering.encoder import Encoder, Sound
from pipeline.rendering.head_mesh import MeshPainter
from pipeline.rendering.layouts import Shots
from pipeline.rendering.portrait import STUDIO_GREY, Colour, Picture, draw

Item = TypeVar("Item")

SLOWEST_FPS, FASTEST_FPS = 1.0, 120.0
POSE_BATCH = 8
"""Frames posed at once: enough to fill the matrix products, few enough to stay in the cache."""
AHEAD = 2
"""Finished items that wait between two steps."""
PNG_THREADS = 2
FRAME_NAME = "frame_{:05d}.png"
FRAME_PATTERN = re.compile(r"frame_\d{5,}\.png")


class VideoCancelled(Exception):
    """The export was cancelled; nothing was left behind."""


def parse_background(text: str) -> Colour | None:
    """``grey`` (the studio backdrop), a CSS colour name, ``#rgb`` or ``#rrggbb`` → sRGB 0..1; ``transparent`` → None.

    Raises `UserError` for anything else.
    """
    name = text.strip().lower()
    if name == "transparent":
        return None
    if name in ("grey", "gray", "studio"):
        return STUDIO_GREY
    try:
        colour = ImageColor.getrgb(name)
    except ValueError as error:
        raise UserError(f"{text[:40]!r} is no colour; use a name, #rrggbb or transparent") from error
    if len(colour) != 3:
        raise UserError(f"{text!r} is half transparent; use a colour without an alpha part, or transparent")
    red, green, blue = (channel / 255 for channel in colour)
    return red, green, blue


@torch.no_grad()
def render_frames(
    avatar: SplatAvatar, expression: Tensor, rotations: Tensor, shots: Shots, background: Colour | None = STUDIO_GREY
) -> Iterator[Picture]:
    """The pictures of a clip, one by one, while the next ones are being posed.

    ``expression`` (T, E) and ``rotations`` (T, J, 3) as `retarget` gives them, ``shots`` the cameras, ``background``
    display sRGB. Yields (H, W, 3) uint8, or (H, W, 4) with straight alpha where the background is None. The clip may
    be of any length; memory holds a few frames.
    """
    width, height = shots.picture_size
    mesh = MeshPainter(avatar.rig)
    mode = avatar.config["rasterize_mode"]
    with closing(ahead(_posed(avatar, expression, rotations))) as posed:
        for frame, (vertices, gaussians) in enumerate(posed):
            tiles = shots.tiles(frame)
            pictures = [
                mesh.draw(vertices, tile.camera, background)
                if tile.mesh
                else draw(gaussians, tile.camera, background, mode)
                for tile in tiles
            ]
            if len(tiles) == 1:
                yield pictures[0]
                continue
            canvas = np.empty((height, width, pictures[0].shape[2]), np.uint8)
            for tile, picture in zip(tiles, pictures, strict=True):
                canvas[tile.top : tile.top + shots.height, tile.left : tile.left + shots.width] = picture
            yield canvas


def write_video(
    path: Path,
    frames: Iterable[Picture],
    fps: float,
    *,
    audio: Path | None = None,
    frame_count: int | None = None,
    progress: Callable[[int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> int:
    """Encode (H, W, 3) uint8 frames as an H.264 MP4 (see `Encoder`) that appears under ``path`` only when it is whole.

    An odd side is made even by repeating its last row or column. ``audio`` is a sound file, cut or followed by
    silence to the length of ``frame_count`` frames, which it needs. ``progress`` is called with the number of frames
    done; ``cancel`` is asked before each frame. Returns the number of frames. Raises `UserError` when ``path``,
    ``fps``, ``audio`` or the frames cannot be used, `VideoCancelled` when cancelled.
    """
    check_video_target(path)
    if not SLOWEST_FPS <= fps <= FASTEST_FPS:
        raise UserError(f"the frame rate is {fps}; a video takes {SLOWEST_FPS:.0f} to {FASTEST_FPS:.0f}")
    sound = None
    if audio is not None:
        if not audio.is_file():
            raise UserError(f"there is no sound file {audio}")
        if frame_count is None:
            raise ValueError("audio needs frame_count, the number of frames that it is cut to")
        sound = Sound(audio, frame_count / fps)
    with closing(ahead(frames)) as pictures, whole_file(path) as partial:
        first = next(pictures, None)
        if first is None:
            raise UserError("the clip has no frames; a video needs at least one")
        height, width = _even(first).shape[:2]
        with Encoder(partial, width, height, fps, sound) as encoder:
            count = 0
            for picture in _and_then(first, pictures):
                _stop_if(cancel)
                encoder.write(_even(picture))
                count += 1
                if progress is not None:
                    progress(count)
            _stop_if(cancel)
            encoder.finish()
    return count


def write_png_frames(
    folder: Path,
    frames: Iterable[Picture],
    *,
    progress: Callable[[int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> int:
    """Write frames (H, W, 3 or 4) as frame_00000.png, … to a folder that appears only when it is whole.

    An older folder of frames is replaced, any other is left alone. The rest is as in `write_video`.
    """
    check_frames_target(folder)
    count = 0
    with closing(ahead(frames)) as pictures, whole_folder(folder) as partial:
        with ThreadPoolExecutor(PNG_THREADS) as savers:
            saving: deque[Future[None]] = deque()
            for picture in pictures:
                _stop_if(cancel)
                saving.append(savers.submit(_save_png, picture, partial / FRAME_NAME.format(count)))
                count += 1
                if len(saving) > PNG_THREADS:
                    saving.popleft().result()
                if progress is not None:
                    progress(count)
            for saved in saving:
                saved.result()
            _stop_if(cancel)
        if not count:
            raise UserError("the clip has no frames; a video needs at least one")
    return count


def check_video_target(path: Path) -> None:
    """Raise `UserError` unless a video can be written to ``path``."""
    if path.suffix.lower() != ".mp4":
        raise UserError(f"{path.name!r} does not end in .mp4, the ending of a video")
    with writing(path):
        if path.is_dir():
            raise UserError(f"{path} is a folder; give a file name that ends in .mp4")


def check_frames_target(folder: Path) -> None:
    """Raise `UserError` unless ``folder`` is free, empty, or holds frames of an earlier export."""
    with writing(folder):
        if folder.is_file():
            raise UserError(f"{folder} is a file; give a folder for the frames")
        if folder.is_dir() and not all(FRAME_PATTERN.fullmatch(entry.name) for entry in folder.iterdir()):
            raise UserError(f"{folder} holds other files and is left alone; give a new or empty folder")


def ahead(items: Iterable[Item], depth: int = AHEAD) -> Generator[Item, None, None]:
    """The same items, made by another thread up to ``depth`` items ahead. Close it to stop that thread."""
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as maker:
        waiting = deque(maker.submit(next, iterator, end) for _ in range(depth))
        try:
            while (item := waiting.popleft().result()) is not end:
                waiting.append(maker.submit(next, iterator, end))
                yield item  # type: ignore[misc]
        finally:
            for future in waiting:
                future.cancel()
            maker.shutdown()
            if hasattr(iterator, "close"):
                iterator.close()


@torch.no_grad()
def _posed(avatar: SplatAvatar, expression: Tensor, rotations: Tensor) -> Iterator[tuple[Tensor, Gaussians]]:
    """Vertices (V, 3) and splats of every frame."""
    for start in range(0, len(expression), POSE_BATCH):
        batch = slice(start, start + POSE_BATCH)
        for vertices in avatar.rig.pose(expression[batch], rotations[batch]):
            yield vertices, avatar.gaussians(vertices)


def _even(picture: Picture) -> Picture:
    """Even sides, which yuv420p needs."""
    height, width = picture.shape[:2]
    if height % 2 or width % 2:
        return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return picture


def _and_then(first: Item, rest: Iterator[Item]) -> Iterator[Item]:
    yield first
    yield from rest


def _save_png(picture: Picture, path: Path) -> None:
    Image.fromarray(picture).save(path, compress_level=1)


def _stop_if(cancel: Callable[[], bool] | None) -> None:
    if cancel is not None and cancel():
        raise VideoCancelled
