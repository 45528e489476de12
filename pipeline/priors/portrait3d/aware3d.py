"""What the planes of a tri-grid know of each other: features averaged along the axes that two planes do not share.

The operator of Mimic3D (Chen et al., ICCV 2023, section 3.3), which 3DPortraitGAN's pyramid has before each of its
convolutions on planes. It takes the planes as (width, height) = (x,y), (y,z) and (z,x). The renderer of tri-grids reads
them as (x,y), (x,z) and (y,z): published weights were trained with both, so both stay as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.priors.portrait3d.trigrid import PLANES


def rolled_out(x: Tensor) -> Tensor:
    """Every plane beside what the other two say along the axis that it shares with them: (3·B,C,R,R) → (3·B,3·C,R,R).

    The batch holds the three planes of each sample in turn. Channel group p always stands for plane p: in plane p it is
    the plane itself, in the others the mean over the axis that they lack, the same along the axis that plane p lacks.
    """
    xy, yz, zx = x.unflatten(0, (-1, PLANES)).unbind(dim=1)
    by_y_of_yz, by_z_of_yz = yz.mean(dim=-2), yz.mean(dim=-1)
    by_x_of_xy, by_y_of_xy = xy.mean(dim=-2), xy.mean(dim=-1)
    by_z_of_zx, by_x_of_zx = zx.mean(dim=-2), zx.mean(dim=-1)
    planes = (
        (xy, _down(by_y_of_yz), _across(by_x_of_zx)),
        (_across(by_y_of_xy), yz, _down(by_z_of_zx)),
        (_down(by_x_of_xy), _across(by_z_of_yz), zx),
    )
    joined = [torch.cat([part.expand_as(xy) for part in parts], dim=1) for parts in planes]
    return torch.stack(joined, dim=1).flatten(0, 1)


def _down(line: Tensor) -> Tensor:
    """A function (B,C,R) of the height."""
    return line[..., :, None]


def _across(line: Tensor) -> Tensor:
    """A function (B,C,R) of the width."""
    return line[..., None, :]
