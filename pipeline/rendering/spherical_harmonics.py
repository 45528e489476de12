"""View-dependent colour: real spherical harmonics to degree 3, ordered and signed as in 3D Gaussian splatting."""

from __future__ import annotations

import torch
from torch import Tensor

C0 = 0.28209479177387814
C1 = 0.4886025119029199
C2 = (1.0925484305920792, 0.31539156525252005, 0.5462742152960396)
C3 = (0.5900435899266435, 2.890611442640554, 0.4570457994644658, 0.3731763325901154, 1.445305721320277)
MAX_DEGREE = 3


def sh_basis(degree: int, directions: Tensor) -> Tensor:
    """The basis functions at `directions` (...,3), of any length: (..., (degree + 1)^2).

    Real spherical harmonics with the Condon-Shortley sign, as in Kerbl et al. 2023 and gsplat.
    """
    x, y, z = torch.nn.functional.normalize(directions, dim=-1).unbind(-1)
    terms = [torch.full_like(x, C0)]
    if degree >= 1:
        terms += [-C1 * y, C1 * z, -C1 * x]
    if degree >= 2:
        terms += [
            C2[0] * x * y,
            -C2[0] * y * z,
            C2[1] * (3 * z * z - 1),
            -C2[0] * x * z,
            C2[2] * (x * x - y * y),
        ]
    if degree >= 3:
        terms += [
            -C3[0] * y * (3 * x * x - y * y),
            C3[1] * x * y * z,
            -C3[2] * y * (5 * z * z - 1),
            C3[3] * z * (5 * z * z - 3),
            -C3[2] * x * (5 * z * z - 1),
            C3[4] * z * (x * x - y * y),
            -C3[0] * x * (x * x - 3 * y * y),
        ]
    return torch.stack(terms, -1)


def sh_colors(degree: int, directions: Tensor, coefficients: Tensor) -> Tensor:
    """Colours (...,3) seen along `directions` (...,3) from `coefficients` (...,K,3), K >= (degree + 1)^2.

    gsplat's convention: sum + 0.5, held at 0 from below.
    """
    count = (degree + 1) ** 2
    if degree == 0:
        color = C0 * coefficients[..., 0, :]
    else:
        basis = sh_basis(degree, directions).to(coefficients.dtype)
        color = torch.einsum("...k,...kc->...c", basis, coefficients[..., :count, :])
    return (color + 0.5).clamp_min(0.0)
