"""The rasteriser on a synthetic cloud and on real heads, against Taichi on the CPU and gsplat on CUDA."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks import taichi_peer
from benchmarks.figure import Figure, best_ms, table
from benchmarks.heads import head
from pipeline.camera import portrait_camera
from pipeline.rendering.rasterize import rasterize, rasterize_rgb8
from pipeline.rendering.spherical_harmonics import sh_colors

EPS2D = 0.3


@dataclass(frozen=True)
class Cloud:
    """Splats and a camera, as `rasterize` takes them; plain colours, one camera."""

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    colors: Tensor
    viewmats: Tensor
    Ks: Tensor
    size: int

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        return self.means, self.quats, self.scales, self.opacities, self.colors

    def to(self, device: str) -> Cloud:
        return Cloud(*(t.to(device) for t in (*self.parameters, self.viewmats, self.Ks)), self.size)


def head_scene(size: int, count: int = 100_000, pixels: float = 1.2, seed: int = 0) -> Cloud:
    """A made-up head: splats all over an ellipsoid that fills 80 % of the frame's height, front and back.

    Standard deviations are about `pixels` at 512 pixels (log-normal 0.2) and grow with `size`; a third of that along
    the surface's normal. Opacities are uniform in 0.5 to 0.99.
    """
    random = np.random.default_rng(seed)
    place = np.arange(count) + 0.5
    polar, around = np.arccos(1 - 2 * place / count), np.pi * (1 + 5**0.5) * place  # Fibonacci sphere
    normal = np.stack([np.cos(around) * np.sin(polar), np.cos(polar), np.sin(around) * np.sin(polar)], -1)
    axes = np.array([0.75, 1.0, 0.85])
    means = normal * axes * (1 + 0.01 * random.standard_normal((count, 1)))
    outward = normal / axes / np.linalg.norm(normal / axes, axis=1, keepdims=True)
    turn = np.cross(np.broadcast_to([0.0, 0.0, 1.0], outward.shape), outward)  # quaternion from +z to the normal
    quats = np.concatenate([1 + outward[:, 2:], turn], 1)
    distance = 4.0
    focal = 0.8 * size / 2 * distance
    scales = np.exp(np.log(pixels * size / 512 * distance / focal) + 0.2 * random.standard_normal((count, 3)))
    scales[:, 2] *= 0.3
    opacities = random.uniform(0.5, 0.99, count)
    colors = 0.5 + 0.5 * normal * [0.6, 0.4, 0.8] + 0.1 * random.standard_normal((count, 3))
    cos, sin = np.cos(0.2), np.sin(0.2)
    viewmat = np.array([[cos, 0, sin, 0], [0, 1, 0, 0], [-sin, 0, cos, distance], [0, 0, 0, 1]])
    K = np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]])
    arrays = (means, quats, scales, opacities, np.clip(colors, 0, 1), viewmat[None], K[None])
    return Cloud(*(torch.tensor(a, dtype=torch.float32) for a in arrays), size)


@torch.no_grad()
def real_head(kind: str, size: int) -> Cloud:
    """A head of `benchmarks.heads`, neutral, in the standard framing."""
    avatar = head(kind)
    gaussians = avatar.gaussians(avatar.rig.vertices)
    camera = portrait_camera(avatar.rig, size, size)
    colors = sh_colors(0, gaussians.means, gaussians.sh).contiguous()
    return Cloud(
        gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities, colors, camera.viewmat[None],
        camera.K[None], size,
    )  # fmt: skip


def forward(cloud: Cloud) -> Callable[[], object]:
    """A call that renders one video frame."""
    arrays = [t.numpy() for t in (*cloud.parameters, cloud.viewmats[0], cloud.Ks[0])]
    return lambda: rasterize_rgb8(*arrays, cloud.size, cloud.size)


def forward_float(cloud: Cloud) -> Callable[[], object]:
    """A call that renders one float picture, without gradients."""
    return lambda: rasterize(*cloud.parameters, cloud.viewmats, cloud.Ks, cloud.size, cloud.size)


def forward_backward(cloud: Cloud, render: Callable = rasterize) -> Callable[[], object]:
    """A call that renders and carries one gradient back to all parameters."""
    parameters = [t.clone().requires_grad_() for t in cloud.parameters]
    asked = torch.randn(1, cloud.size, cloud.size, 3, device=cloud.means.device)

    def call() -> object:
        picture = render(*parameters, cloud.viewmats, cloud.Ks, cloud.size, cloud.size)[0]
        return torch.autograd.grad([picture], parameters, [asked])

    return call


def taichi(cloud: Cloud) -> Callable[[], np.ndarray]:
    """The peer's call on the same cloud."""
    meta = rasterize(*cloud.parameters, cloud.viewmats, cloud.Ks, cloud.size, cloud.size)[2]
    conics, opacities = _screen_ellipses(cloud)
    arrays = (meta["means2d"][0], meta["radii"][0], meta["depths"][0], conics, opacities, cloud.colors)
    return taichi_peer.blender(*(t.numpy() for t in arrays), cloud.size, cloud.size)


def _screen_ellipses(cloud: Cloud) -> tuple[Tensor, Tensor]:
    """Inverse screen covariances (N,3) and compensated opacities (N,), by plain matrix algebra."""
    w, x, y, z = torch.nn.functional.normalize(cloud.quats, dim=-1).unbind(-1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    view, K = cloud.viewmats[0], cloud.Ks[0]
    axes = view[:3, :3] @ torch.stack([torch.stack(r, -1) for r in rows], -2) * cloud.scales[:, None]
    X, Y, Z = (cloud.means @ view[:3, :3].T + view[:3, 3]).unbind(-1)
    u = (K[0, 0] / Z)[:, None] * (axes[:, 0] - (X / Z)[:, None] * axes[:, 2])
    v = (K[1, 1] / Z)[:, None] * (axes[:, 1] - (Y / Z)[:, None] * axes[:, 2])
    xx, yy, xy = (u * u).sum(-1) + EPS2D, (v * v).sum(-1) + EPS2D, (u * v).sum(-1)
    sharp, det = torch.linalg.cross(u, v).square().sum(-1), xx * yy - xy * xy
    return torch.stack([yy, -xy, xx], -1) / det[:, None], cloud.opacities * torch.sqrt(sharp / det)


def run() -> list[Figure]:
    """Milliseconds to a frame; the least of many."""
    figures = []
    budgets = {512: (14, 38), 1024: (24, 70)}
    for size, (forward_budget, backward_budget) in budgets.items():
        cloud = head_scene(size)
        peer = best_ms(taichi(cloud), repeats=5)
        what = f"rasterise 100k splats, {size}²"
        figures += [
            Figure(f"{what}, video frame", best_ms(forward(cloud)), "ms", forward_budget, taichi_peer.NAME, peer),
            Figure(f"{what}, float", best_ms(forward_float(cloud)), "ms", forward_budget, taichi_peer.NAME, peer),
            Figure(
                f"{what}, forward and backward", best_ms(forward_backward(cloud)), "ms", backward_budget,
                f"{taichi_peer.NAME}, forward only", peer,
            ),
        ]  # fmt: skip
        if torch.cuda.is_available():
            figures += _on_cuda(cloud.to("cuda"), what)
    for kind, budget in (("short hair", 12), ("bald", 12), ("afro", 12), ("long hair", 18)):
        cloud = real_head(kind, 512)
        name = f"rasterise a head, {kind}, {len(cloud.means) / 1000:.0f}k splats, 512²"
        peer = best_ms(taichi(cloud), repeats=5)
        figures.append(Figure(name, best_ms(forward(cloud)), "ms", budget, taichi_peer.NAME, peer))
    return figures


def _on_cuda(cloud: Cloud, what: str) -> list[Figure]:
    """Our call on CUDA against gsplat called directly: dispatch may cost 5 %."""
    import gsplat

    def synchronised(call: Callable[[], object]) -> Callable[[], object]:
        def timed() -> None:
            call()
            torch.cuda.synchronize()

        return timed

    def direct(*arguments: object) -> object:
        return gsplat.rasterization(*arguments, packed=False, rasterize_mode="antialiased")

    name = f"gsplat called directly, {torch.cuda.get_device_name()}"
    peer = best_ms(synchronised(forward_backward(cloud, direct)))
    value = best_ms(synchronised(forward_backward(cloud)))
    return [Figure(f"{what}, forward and backward on CUDA", value, "ms", 1.05 * peer, name, peer)]


if __name__ == "__main__":
    print(table(run()))
