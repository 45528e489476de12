"""Thumbnails of pictures that came from outside."""

import io
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.gallery.thumbnails import THUMBNAIL_SIZE, first_view, thumbnail
from pipeline.hub.errors import Damaged
from tests.gallery.published import picture

SMALL = picture(64, 64, ["red"])


def opened(content):
    return Image.open(io.BytesIO(content)).convert("RGB")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("size", [(512, 512), (300, 200), (20, 900)])
def test_a_square_of_the_middle(kind, size):
    small = opened(thumbnail(picture(*size, ["green"], kind), "single", "p"))
    assert small.size == (THUMBNAIL_SIZE, THUMBNAIL_SIZE)


@pytest.mark.parametrize(
    ("size", "side"),
    [((3200, 800), 800), ((3200, 1600), 800), ((3200, 400), 400), ((3200, 3200), 3200), ((800, 800), 800), ((1, 1), 1)],
)
def test_the_first_of_several_views(size, side):
    assert first_view(*size) == (0, 0, side, side)


def test_what_is_transparent_is_white():
    clear = io.BytesIO()
    Image.new("RGBA", (40, 40), (255, 0, 0, 0)).save(clear, "PNG")
    assert opened(thumbnail(clear.getvalue(), "single", "p")).getpixel((100, 100)) == (255, 255, 255)


def huge_png(width: int, height: int) -> bytes:
    """A PNG that says it is huge; only its first bytes are there."""
    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\0\0\0"
    chunk = b"IHDR" + head
    return b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")


@pytest.mark.parametrize(
    "content",
    [b"", b"GIF89a", b"<svg xmlns='http://www.w3.org/2000/svg'/>", SMALL[:60], huge_png(100_000, 100_000), b"\0" * 100],
)
def test_what_is_no_picture_or_huge_is_told(content):
    with pytest.raises(Damaged, match=r"p has|p is no picture"):
        thumbnail(content, "single", "p")


def test_a_file_that_is_too_long_is_not_opened():
    with pytest.raises(Damaged, match="more than a preview needs"):
        thumbnail(SMALL + b"\0" * (17 << 20), "single", "p")


@given(st.data())
def test_damage_anywhere_is_told_or_shown(data):
    content = bytearray(picture(64, 64, ["red"], data.draw(st.sampled_from(["PNG", "JPEG", "WEBP"]))))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert opened(thumbnail(bytes(content), "views", "p")).size == (THUMBNAIL_SIZE, THUMBNAIL_SIZE)
    except Damaged:
        return
