"""Gaussian splats to pictures: one call, two backends.

`rasterize` has gsplat.rasterization's names, shapes and meta. CUDA tensors go to gsplat itself; CPU tensors, and CUDA
tensors where gsplat's kernels cannot be built, go to the Numba kernels in `cpu`. `rasterize_rgb8` is the short
way from arrays to the bytes of a video frame.
"""

from __future__ import annotations

import functools
import math
import warnings
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from .cpu.arrays import Splats
from .cpu.autograd import rasterize_on_cpu
from .cpu.frame import MAX_COLORS, Frame, View
from .cpu.workers import Lease
from .spherical_harmonics import MAX_DEGREE, sh_colors

RenderMode = Literal["RGB", "D", "ED", "RGB+D", "RGB+ED"]
RasterizeMode = Literal["antialiased", "classic"]


def rasterize(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    *,
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    radius_clip: float = 0.0,
    eps2d: float = 0.3,
    sh_degree: int | None = None,
    backgrounds: Tensor | None = None,
    render_mode: RenderMode = "RGB",
    rasterize_mode: RasterizeMode = "antialiased",
    absgrad: bool = False,
    **gsplat_options: Any,
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Renders N Gaussians from C cameras, differentiably.

    Args:
        means: (N,3) centres in world space.
        quats: (N,4) rotations wxyz, of any length but zero.
        scales: (N,3) standard deviations along the splat's axes, linear.
        opacities: (N,) in 0..1.
        colors: (N,D) or (C,N,D) channels, D <= 8; with `sh_degree` (N,K,3) or (C,N,K,3) spherical harmonics.
        viewmats: (C,4,4) world to camera, OpenCV axes (x right, y down, z forward).
        Ks: (C,3,3) intrinsics in pixels; pixel centres lie at .5.
        width, height: of the pictures, in pixels.
        near_plane, far_plane: splats whose depth lies outside are left out.
        radius_clip: splats whose radius is at most this many pixels are left out.
        eps2d: added to the screen covariance, in square pixels, so that no splat is thinner than a pixel.
        sh_degree: how many degrees of `colors` to use, 0 to 3; None when `colors` are plain channels.
        backgrounds: (C,D) what lies behind everything; black when None.
        render_mode: colours, camera-space depth accumulated like a colour (D), depth divided by alpha (ED), or both.
        rasterize_mode: "antialiased" lowers the opacity by what `eps2d` widens; "classic" does not.
        absgrad: also leave the summed absolute gradient of every pixel in meta["means2d"].absgrad.
        gsplat_options: further options of gsplat.rasterization, for CUDA tensors only.

    Returns:
        renders (C,H,W,D'), D' = D, 1 or D + 1; alphas (C,H,W,1); meta with means2d (C,N,2) (its .grad appears after
        backward when retain_grad() was called), radii (C,N,2) int32, depths (C,N), width, height, n_cameras and
        gaussian_ids (None: nothing is packed).

    Raises:
        ValueError: a shape, a value or an option does not fit; the sentence names it.
    """
    # 1. Check the inputs
    _check_inputs(means, quats, scales, opacities, colors, viewmats, Ks, width, height, sh_degree, backgrounds)
    _check_choice("render_mode", render_mode, get_args(RenderMode))
    _check_choice("rasterize_mode", rasterize_mode, get_args(RasterizeMode))
    # 2. CUDA: gsplat, unchanged
    if means.is_cuda and _gsplat_works():
        import gsplat

        return gsplat.rasterization(
            means, quats, scales, opacities, colors, viewmats, Ks, width, height,
            near_plane=near_plane, far_plane=far_plane, radius_clip=radius_clip, eps2d=eps2d, sh_degree=sh_degree,
            backgrounds=backgrounds, render_mode=render_mode, rasterize_mode=rasterize_mode, absgrad=absgrad,
            **({"packed": False} | gsplat_options),
        )  # fmt: skip
    # 3. CPU: what the kernels cannot do is said, never skipped
    if gsplat_options:
        raise ValueError(f"The CPU rasteriser has no option {', '.join(sorted(gsplat_options))}; leave it out.")
    for name, tensor in (("viewmats", viewmats), ("Ks", Ks)):
        if tensor.requires_grad and torch.is_grad_enabled():
            raise ValueError(f"The CPU rasteriser gives {name} no gradient; pass {name}.detach().")
    if sh_degree is not None:
        colors = _view_dependent(means, colors, viewmats, sh_degree)
    if colors.shape[-1] > MAX_COLORS:
        raise ValueError(f"colors has {colors.shape[-1]} channels; the CPU rasteriser takes at most {MAX_COLORS}.")
    # 4. Blend the channels that the mode asks for
    if "RGB" not in render_mode:
        colors = colors[..., :0]
        backgrounds = None
    views = [
        View(viewmat, k, width, height, near_plane, far_plane, eps2d, radius_clip, rasterize_mode == "antialiased")
        for viewmat, k in zip(_numpy(viewmats), _numpy(Ks), strict=True)
    ]
    renders, alphas, meta = rasterize_on_cpu(
        means, quats, scales, opacities, colors, backgrounds, views, with_depth=render_mode != "RGB", absgrad=absgrad
    )
    if render_mode.endswith("ED"):
        expected = renders[..., -1:] / alphas.clamp_min(1e-10)
        renders = torch.cat([renders[..., :-1], expected], -1)
    return renders, alphas, meta


def rasterize_rgb8(
    means: ArrayLike,
    quats: ArrayLike,
    scales: ArrayLike,
    opacities: ArrayLike,
    colors: ArrayLike,
    viewmat: ArrayLike,
    K: ArrayLike,
    width: int,
    height: int,
    *,
    background: tuple[float, float, float] = (0.0, 0.0, 0.0),
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    eps2d: float = 0.3,
    rasterize_mode: RasterizeMode = "antialiased",
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """One video frame: the picture of `rasterize` with render_mode RGB, rounded to bytes, without torch or gradients.

    Args:
        means, quats, scales, opacities: as in `rasterize`; contiguous float32 arrays or CPU tensors are used in place.
        colors: (N,3) display colours.
        viewmat, K: (4,4) and (3,3), as in `rasterize`.
        background: the colour behind the splats, 0..1.
        out: (height, width, 3) uint8 to write to; a new array when None.

    Returns:
        (height, width, 3) uint8, which is `out` when given.
    """
    given = {"means": means, "quats": quats, "scales": scales, "opacities": opacities, "colors": colors}
    given |= {"viewmat": viewmat, "K": K, "background": background}
    arrays = {name: np.ascontiguousarray(value, np.float32) for name, value in given.items()}
    n = len(arrays["means"])
    expected = ((n, 3), (n, 4), (n, 3), (n,), (n, 3), (4, 4), (3, 3), (3,))
    for (name, array), shape in zip(arrays.items(), expected, strict=True):
        if array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}; {shape} is needed for {n} splats.")
    *parameters, pose, intrinsics, behind = arrays.values()
    _check_size(width, height)
    _check_choice("rasterize_mode", rasterize_mode, get_args(RasterizeMode))
    if out is None:
        out = np.empty((height, width, 3), np.uint8)
    elif out.shape != (height, width, 3) or out.dtype != np.uint8:
        raise ValueError(f"out is {out.dtype} {out.shape}; uint8 {(height, width, 3)} is needed.")
    antialiased = rasterize_mode == "antialiased"
    view = View(pose, intrinsics, width, height, near_plane, far_plane, eps2d, antialiased=antialiased)
    lease = Lease(1)
    frame = Frame(Splats(*parameters), view, lease.buffers[0])
    frame.project()
    frame.bin()
    frame.blend_rgb8(behind, out)
    return out


def _view_dependent(means: Tensor, coefficients: Tensor, viewmats: Tensor, degree: int) -> Tensor:
    """Spherical harmonics (N,K,3) or (C,N,K,3) to colours (N,3) or (C,N,3)."""
    if degree == 0:
        return sh_colors(0, means, coefficients)
    rotation, translation = viewmats[:, :3, :3], viewmats[:, :3, 3]
    positions = -torch.einsum("cij,ci->cj", rotation, translation)
    return sh_colors(degree, means - positions[:, None], coefficients)


def _numpy(tensor: Tensor) -> NDArray[np.float32]:
    return tensor.detach().to("cpu", torch.float32).contiguous().numpy()


@functools.cache
def _gsplat_works() -> bool:
    """Whether gsplat's CUDA kernels are there or can be built; tells the person once when they are not."""
    try:
        from gsplat.cuda._backend import _C
    except (ImportError, OSError, RuntimeError) as error:  # not installed; no compiler; the build failed
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    else:
        if _C is not None:
            return True
        reason = "no CUDA toolkit was found"
    warnings.warn(f"gsplat cannot be used ({reason}); splats are drawn on the CPU, which is slower.", stacklevel=3)
    return False


# ---------------------------------------------------------------- checks


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(choices)}.")


def _check_size(width: int, height: int) -> None:
    for name, value in (("width", width), ("height", height)):
        if not 0 < value <= 2**20:
            raise ValueError(f"{name} is {value}; it must be a positive number of pixels.")


def _check_shape(name: str, tensor: Tensor, shapes: list[tuple[int | None, ...]]) -> None:
    fits = any(
        len(shape) == tensor.dim() and all(want in (None, have) for want, have in zip(shape, tensor.shape, strict=True))
        for shape in shapes
    )
    if not fits:
        wanted = " or ".join("(" + ",".join("any" if k is None else str(k) for k in shape) + ")" for shape in shapes)
        raise ValueError(f"{name} has shape {tuple(tensor.shape)}; {wanted} is needed.")


def _check_inputs(
    means: Tensor, quats: Tensor, scales: Tensor, opacities: Tensor, colors: Tensor, viewmats: Tensor, Ks: Tensor,
    width: int, height: int, sh_degree: int | None, backgrounds: Tensor | None,
) -> None:  # fmt: skip
    _check_size(width, height)
    _check_shape("means", means, [(None, 3)])
    n = len(means)
    _check_shape("quats", quats, [(n, 4)])
    _check_shape("scales", scales, [(n, 3)])
    _check_shape("opacities", opacities, [(n,)])
    _check_shape("viewmats", viewmats, [(None, 4, 4)])
    cameras = len(viewmats)
    if cameras == 0:
        raise ValueError("viewmats is empty; at least one camera is needed.")
    _check_shape("Ks", Ks, [(cameras, 3, 3)])
    if sh_degree is None:
        _check_shape("colors", colors, [(n, None), (cameras, n, None)])
        if colors.shape[-1] == 0:
            raise ValueError("colors has no channel; at least one is needed.")
    else:
        if not 0 <= sh_degree <= MAX_DEGREE:
            raise ValueError(f"sh_degree is {sh_degree}; it must be 0 to {MAX_DEGREE}, or None for plain channels.")
        _check_shape("colors", colors, [(n, None, 3), (cameras, n, None, 3)])
        if colors.shape[-2] < (sh_degree + 1) ** 2:
            have = math.isqrt(colors.shape[-2]) - 1
            raise ValueError(
                f"colors has {colors.shape[-2]} coefficients, enough for sh_degree {have}, not {sh_degree}."
            )
    tensors = {"quats": quats, "scales": scales, "opacities": opacities, "colors": colors, "viewmats": viewmats}
    tensors["Ks"] = Ks
    if backgrounds is not None:
        _check_shape("backgrounds", backgrounds, [(cameras, 3 if sh_degree is not None else colors.shape[-1])])
        tensors["backgrounds"] = backgrounds
    for name, tensor in tensors.items():
        if tensor.device != means.device:
            raise ValueError(f"{name} is on {tensor.device} and means on {means.device}; they must be on one device.")
