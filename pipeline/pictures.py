"""What every reader of pictures from outside must expect."""

from __future__ import annotations

import struct
import zlib

from PIL import Image

BROKEN_PICTURE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What Pillow raises for files that are damaged, or damaged on purpose."""
