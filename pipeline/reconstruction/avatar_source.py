"""`AvatarSource`: an avatar at rest as the start of another one. Everything about it is known, landmarks included."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from pipeline.avatar import Gaussians, Layer, SplatAvatar
from pipeline.camera import Camera
from pipeline.reconstruction.multiview import Observed, Part, Surface, Views
from pipeline.reconstruction.splat_surface import VOXELS, splat_surface
from pipeline.rendering.mesh import rasterize_mesh
from pipeline.rendering.portrait import draw
from pipeline.rendering.rasterize import rasterize
from pipeline.stages.cameras import Orbit, portrait_orbit

FACIAL = ("face", "lips", "eyelids", "eye_socket", "eye_left", "eye_right", "lashes_left", "lashes_right")
"""Regions whose skin a parser calls face."""
CLOTHED = ("torso", "neck")
"""Regions on which an accessory is a necklace or a tie."""
TRANSPARENT = ("hair_cage", "limbs", "lashes_left", "lashes_right")
"""Triangles that hide nothing."""
COVERED = 0.5
"""Alpha from which a pixel shows the avatar."""
SEEN_WITHIN = 0.003
"""Metres behind the nearest surface at which a landmark is still seen: what a pixel of a slanted cheek is deep."""


class AvatarSource:
    """The `Source` of an avatar in its rest pose; its world is the metres of the rig."""

    def __init__(self, avatar: SplatAvatar, voxels: int = VOXELS) -> None:
        """``voxels``: along the longest edge of the box in which its surface is found."""
        self._avatar, self._voxels = avatar, voxels
        self._rig = avatar.rig

    @property
    def orbit(self) -> Orbit:
        """The cameras of AnimPortrait3D for this head. Raises `UserError` for a rig without pupils and chin."""
        return portrait_orbit(self._rig)

    def look(self, cameras: Sequence[Camera]) -> Views:
        """Pictures (C, H, W, 4)."""
        mode = self._avatar.config["rasterize_mode"]
        pictures = [torch.from_numpy(draw(self._splats, camera, None, mode)) for camera in cameras]
        return Views(tuple(cameras), torch.stack(pictures))

    def surface(self) -> Surface:
        """The outer surface of all splats, coloured and with its parts."""
        return splat_surface(self._splats, self._parts, self.orbit, self._voxels)

    @torch.no_grad()
    def label(self, cameras: Sequence[Camera]) -> Tensor:
        """(C, H, W) uint8 `Part`: whose splats make up the most of the pixel."""
        shares = torch.nn.functional.one_hot(self._parts.long(), len(Part))[:, 1:].float()
        splats = self._splats
        labels = []
        for camera in cameras:
            covered, alpha, _ = rasterize(
                splats.means, splats.quats, splats.scales, splats.opacities, shares,
                camera.viewmat[None].to(shares), camera.K[None].to(shares), camera.width, camera.height,
                rasterize_mode=self._avatar.config["rasterize_mode"],
            )  # fmt: skip
            labels.append(torch.where(alpha[0, ..., 0] < COVERED, 0, covered[0].argmax(-1) + 1).to(torch.uint8).cpu())
        return torch.stack(labels)

    def landmarks(self, cameras: Sequence[Camera]) -> Observed | None:
        """All landmarks of the rig: confidence 1 where the head's own mesh does not hide them; None of a rig without.

        What hair or glasses cover counts as seen: a detector guesses it too.
        """
        marks = self._rig.landmarks
        if marks is None:
            return None
        world = marks.positions(self._vertices, self._rig.faces)
        projected = [camera.project(world) for camera in cameras]
        seen = [self._sees(camera, *each) for camera, each in zip(cameras, projected, strict=True)]
        return Observed(marks.names, torch.stack([pixels for pixels, _ in projected]), torch.stack(seen).float())

    @cached_property
    def _vertices(self) -> Tensor:
        """(V, 3) at rest."""
        return self._rig.pose(*self._rig.neutral())[0].detach()

    @cached_property
    def _splats(self) -> Gaussians:
        with torch.no_grad():
            return self._avatar.gaussians(self._vertices)

    @cached_property
    def _parts(self) -> Tensor:
        """(N,) uint8 `Part` of every splat."""
        return splat_parts(self._avatar)

    def _sees(self, camera: Camera, pixels: Tensor, depth: Tensor) -> Tensor:
        """(L,) bool: inside the picture and not behind the head."""
        opaque = self._rig.faces[~self._rig.faces_in(TRANSPARENT)]
        fragments = rasterize_mesh(
            self._vertices, opaque, camera.viewmat[None], camera.K[None], camera.width, camera.height
        )
        # the deepest of the neighbours: a landmark on an outline falls beside the pixel that shows it
        nearest = max_pool2d(fragments.depth, 3, stride=1, padding=1)[0]
        column, row = pixels.floor().long().unbind(1)
        inside = (column >= 0) & (row >= 0) & (column < camera.width) & (row < camera.height)
        front = nearest[row.clamp(0, camera.height - 1), column.clamp(0, camera.width - 1)]
        return inside & (depth <= front + SEEN_WITHIN)


def splat_parts(avatar: SplatAvatar) -> Tensor:
    """(N,) uint8 `Part` that each splat shows: by its layer, and for skin and accessories by where it hangs."""
    face, layer = avatar.face.long(), avatar.layer
    facial, clothed = avatar.rig.faces_in(FACIAL)[face], avatar.rig.faces_in(CLOTHED)[face]
    skin = torch.where(facial, int(Part.FACE), int(Part.SKIN))
    worn = torch.where(clothed, int(Part.CLOTH), int(Part.FACE))  # glasses and earrings are seen on the face
    parts = torch.full_like(skin, int(Part.FACE))  # eyes, mouth, brows and beard lie in the face
    for of_layer, value in (
        (Layer.SKIN, skin),
        (Layer.HAIR, torch.full_like(skin, int(Part.HAIR))),
        (Layer.CLOTH, torch.full_like(skin, int(Part.CLOTH))),
        (Layer.ACCESSORY, worn),
    ):
        parts = torch.where(layer == of_layer, value, parts)
    return parts.to(torch.uint8)
