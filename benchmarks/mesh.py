"""The maps that a ControlNet sees of a head: AnimPortrait3D's normals and segments, HeadStudio's landmarks, 896²."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from trimesh import Trimesh
from trimesh.ray.ray_pyembree import RayMeshIntersector

from benchmarks.figure import Figure, best_ms, table
from pipeline.camera import Camera, orbit_camera, portrait_framing
from pipeline.guidance.conditions import HeadCondition
from pipeline.guidance.landmark_condition import LandmarkCondition
from pipeline.heads.anny import AnnyHead
from pipeline.heads.rig import Rig
from pipeline.rendering.mesh import rasterize_mesh

SIDE = 896
FOV_DEGREES = 8.5
"""The head fills the picture, as in AnimPortrait3D's views."""
PEER = "trimesh 5.2 on Embree rays (embreex 4.4)"


def run() -> list[Figure]:
    """Milliseconds per picture, the head posed already."""
    rig = AnnyHead().rig
    framing = replace(portrait_framing(rig), fov_degrees=FOV_DEGREES)
    camera = orbit_camera(framing, 20.0, 4.0, SIDE, SIDE)
    peer = best_ms(_embree(rig, camera), repeats=3, warm_up=1)
    head, landmarks = HeadCondition(rig), LandmarkCondition(rig)
    what = f"{len(rig.faces)} faces, {SIDE}²"
    maps = [
        Figure(f"condition map, {what}", best_ms(_map(head, rig.vertices, [camera])), "ms", 15.0, PEER, peer),
        Figure(f"landmark map, {what}", best_ms(_map(landmarks, rig.vertices, [camera])), "ms", 15.0),
    ]
    if torch.cuda.is_available():
        maps.append(_on_cuda(head, rig.vertices.cuda(), camera, what))
    return [Figure(f"mesh fragments, {what}", best_ms(_fragments(rig, camera)), "ms", 10.0, PEER, peer), *maps]


def _fragments(rig: Rig, camera: Camera) -> Callable[[], object]:
    return lambda: rasterize_mesh(rig.vertices, rig.faces, camera.viewmat[None], camera.K[None], SIDE, SIDE)


def _map(condition: Callable, vertices: Tensor, cameras: list[Camera]) -> Callable[[], object]:
    return lambda: condition(vertices, cameras)


def _embree(rig: Rig, camera: Camera) -> Callable[[], object]:
    """Which triangle every pixel sees; the tree is built anew, as a head that moves needs it."""
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    K, turn = camera.K.numpy().astype(np.float64), camera.viewmat[:3, :3].numpy().astype(np.float64)
    rays = np.stack([(x - K[0, 2]) / K[0, 0], (y - K[1, 2]) / K[1, 1], np.ones_like(x)], -1).reshape(-1, 3) @ turn
    origins = np.broadcast_to(camera.position.numpy().astype(np.float64), rays.shape)
    vertices, faces = rig.vertices.numpy(), rig.faces.numpy()

    def call() -> object:
        return RayMeshIntersector(Trimesh(vertices, faces, process=False)).intersects_first(origins, rays)

    return call


def _on_cuda(head: HeadCondition, vertices: Tensor, camera: Camera, what: str) -> Figure:
    """Eight pictures at once, as a step of the guidance asks for them."""
    call = _map(head, vertices, [camera] * 8)

    def synchronised() -> None:
        call()
        torch.cuda.synchronize()

    name = f"condition map of eight, {what}, {torch.cuda.get_device_name()}"
    return Figure(name, best_ms(synchronised) / 8, "ms", 15.0)


if __name__ == "__main__":
    print(table(run()))
