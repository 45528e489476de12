"""Pictures in -1..1, as the generator and the renderer give them, in the forms that others take."""

from __future__ import annotations

from torch import Tensor


def shown(picture: Tensor) -> Tensor:
    """(H, W, 3) uint8 of a picture (3, H, W) in -1..1."""
    return (picture.detach() * 127.5 + 128).clamp(0, 255).byte().movedim(0, -1)


def unit(picture: Tensor) -> Tensor:
    """The same picture in 0..1, a little beyond where it was; not clamped."""
    return picture / 2 + 0.5


def signed(picture: Tensor) -> Tensor:
    """The same picture in -1..1, of one in 0..1."""
    return 2 * picture - 1
