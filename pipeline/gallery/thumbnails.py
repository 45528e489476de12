"""Small pictures for cards, from pictures that came from outside."""

from __future__ import annotations

import io
from typing import Literal

from PIL import Image

from pipeline.hub.errors import Damaged
from pipeline.pictures import BROKEN_PICTURE

THUMBNAIL_SIZE = 320
"""Pixels on a side."""
LARGEST_PICTURE = 16 << 20
"""Bytes of a file that is opened at all."""
MOST_PIXELS = 32_000_000
"""Decoded: 128 MB. A strip of AnimPortrait3D has at most ten million."""
FORMATS = ("PNG", "JPEG", "WEBP")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
QUALITY = 82
BACKGROUND = "white"
"""Behind what is transparent: both published galleries render on white."""

Layout = Literal["single", "views"]
"""``single``: one view, the middle is shown. ``views``: several square views side by side, perhaps in rows."""


def thumbnail(content: bytes, layout: Layout, name: str) -> bytes:
    """A square WebP of `THUMBNAIL_SIZE` of the first view. Raises `Damaged` for what is no picture or too large."""
    if len(content) > LARGEST_PICTURE:
        raise Damaged(f"{name} has {len(content):,} bytes, more than a preview needs")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise Damaged(f"{name} has {picture.width} × {picture.height} pixels, more than are decoded here")
            picture.draft("RGB", (picture.width // 2, picture.height // 2))  # a JPEG, at half size where that is enough
            view = picture.crop(first_view(*picture.size) if layout == "views" else _middle(*picture.size))
            small = view.convert("RGBA").resize((THUMBNAIL_SIZE, THUMBNAIL_SIZE), Image.Resampling.LANCZOS)
    except Damaged:
        raise
    except BROKEN_PICTURE as error:
        raise Damaged(f"{name} is no picture that can be read ({error})") from error
    return _webp(small)


def first_view(width: int, height: int) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of the first of several square views.

    AnimPortrait3D renders views of 800 pixels, four beside each other in a picture of 3200, in one row or two. So the
    first view of a wide picture is a quarter of its width, or its whole height where that is less.
    """
    side = min(height, width // 4) if width >= 2 * height else min(width, height)
    return 0, 0, max(side, 1), max(side, 1)


def _middle(width: int, height: int) -> tuple[int, int, int, int]:
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side


def _webp(picture: Image.Image) -> bytes:
    behind = Image.new("RGBA", picture.size, BACKGROUND)
    behind.alpha_composite(picture)
    encoded = io.BytesIO()
    behind.convert("RGB").save(encoded, "WEBP", quality=QUALITY)
    return encoded.getvalue()
