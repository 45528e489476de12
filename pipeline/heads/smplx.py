"""`SmplxHead`: an SMPL-X file that somebody brings becomes the `Rig` of a bust."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.heads.animportrait3d_assets import (
    BODY_VERTICES,
    TEETH_VERTICES,
    Assets,
    check_fits,
    outward,
    read_assets,
    teeth_points,
)
from pipeline.heads.bust import KEPT, SKELETON, bust_vertices, folded_weights, hanging_arms, kept_pose_dirs
from pipeline.heads.correspondence import Correspondence
from pipeline.heads.licensed import LicensedHead, Surface, make_rig, registered
from pipeline.heads.model_files import ModelFile
from pipeline.heads.official_files import OfficialFiles, ibug_landmarks
from pipeline.heads.rig import Landmarks, Rig
from pipeline.heads.smplx_module import Body

ORIGIN = "head"
"""The joint that the origin is moved to."""


@dataclass(frozen=True)
class _Bust:
    """The part of a model that stays."""

    surface: Surface
    person: Tensor
    """(V, 3) the surface of one identity."""


class SmplxHead(LicensedHead):
    """SMPL-X for one identity (Pavlakos et al., Expressive body capture, 2019), cut down to a bust.

    ``path``: the model's npz or pkl, its archive as downloaded, or a folder with either; by default the preferred model
    of the folders in ``ANIMPORTRAIT3D_MODELS``; or a `ModelFile` that was found. ``shape``: up to 300 coefficients.
    ``assets``: AnimPortrait3D's repository or asset folder, or what was read of it; then the mesh is theirs (teeth,
    mouth bridge, eyelids, hanging arms, 17981 faces in their order). Without it the bust ends at the arms and equals
    SMPL-X's own vertices in every pose of its joints.
    Raises `UserError` when there is no such model or folder, one cannot be used, or a coefficient is out of range.
    """

    kind = "smplx"

    def __init__(
        self,
        path: ModelFile | Path | str | None = None,
        shape: Sequence[float] | None = None,
        assets: Assets | Path | str | None = None,
        release: str | None = None,
    ) -> None:
        super().__init__(path, shape, release)
        self._assets = assets if assets is None or isinstance(assets, Assets) else read_assets(Path(assets))
        if self._assets is not None:
            check_fits(self._assets, self._body.faces.numpy())

    @property
    def shape_dirs(self) -> Tensor:
        return self._body.shapes[:, kept_vertices(self._body)]

    @property
    def shape_joint_dirs(self) -> Tensor:
        return self._body.regressor[list(KEPT.values())] @ self._body.shapes

    @cached_property
    def correspondence(self) -> Correspondence:
        """That of the neutral bust."""
        neutral = self._bust(torch.zeros_like(self.shape)).surface
        return registered(neutral, SKELETON, self._official(neutral.faces))

    @cached_property
    def rig(self) -> Rig:
        """Its origin is the head joint."""
        body, bust = self._body, self._bust(self.shape)
        regressor = body.regressor[list(KEPT.values())]
        return make_rig(
            basis=self.release,
            surface=bust.surface,
            skeleton=SKELETON,
            person=bust.person,
            joints=regressor @ body.shaped(self.shape),
            joint_dirs=regressor @ body.expressions,
            origin=ORIGIN,
            place=self.correspondence,
            official=self._official(bust.surface.faces),
        )

    def _bust(self, shape: Tensor) -> _Bust:
        if self._assets is None:
            kept = kept_vertices(self._body)
            body = replace(self._body, pose_dirs=kept_pose_dirs(self._body.pose_dirs))
            return _cut(body, body.shaped(shape), kept, _renumbered(body.faces, kept), {})
        body, person = hanging_arms(self._body, self._body.shaped(shape))
        teeth = torch.from_numpy(teeth_points(self._assets, self._body.template.numpy()))
        crop = torch.from_numpy(self._assets.crop)
        regions = _asset_regions(self._assets)
        return _cut(_with_teeth(body, teeth), torch.cat([person, teeth]), crop, outward(self._assets.faces), regions)

    def _official(self, faces: Tensor) -> OfficialFiles:
        """The landmarks of the model file, and the eyelids of the assets, on the faces and vertices that stay."""
        with np.load(self._model.arrays_file, allow_pickle=False) as stored:
            marks = ibug_landmarks(stored["lmk_faces_idx"], stored["lmk_bary_coords"])
        if self._assets is None:
            return OfficialFiles(_moved(marks, self._body.faces, faces, kept_vertices(self._body)))
        crop = torch.from_numpy(self._assets.crop)
        eyelids = torch.zeros(2, BODY_VERTICES + 2 * TEETH_VERTICES, 3)
        eyelids[:, torch.from_numpy(self._assets.flame_ids)] = self._assets.eyelids
        return OfficialFiles(_moved(marks, self._body.faces, faces, crop), eyelids[:, crop])


def kept_vertices(body: Body) -> Tensor:
    """(K,) ids of SMPL-X's vertices in a bust without assets, in order."""
    inside = bust_vertices(body.weights)
    return body.faces[inside[body.faces].all(1)].unique()


def _cut(body: Body, person: Tensor, kept: Tensor, faces: Tensor, regions: dict[str, Tensor]) -> _Bust:
    """What stays of a body that has the pose correctives of the bust only."""
    surface = Surface(
        template=person[kept],
        faces=faces,
        weights=folded_weights(body.weights, body.parents)[kept],
        pose_dirs=body.pose_dirs[:, kept],
        expressions=body.expressions[:, kept],
        regions=regions,
    )
    return _Bust(surface, person[kept])


def _renumbered(faces: Tensor, kept: Tensor) -> Tensor:
    """The faces whose corners all stay, in order, by their new numbers."""
    place = torch.full((int(faces.max()) + 1,), -1)
    place[kept] = torch.arange(len(kept))
    moved = place[faces]
    return moved[(moved >= 0).all(1)]


def _with_teeth(body: Body, teeth: Tensor) -> Body:
    """Upper row on the head, lower row on the jaw, moved by nothing else; without shapes, which the teeth ignore."""
    upper, lower = torch.zeros(2, TEETH_VERTICES, body.weights.shape[1])
    upper[:, KEPT["head"]] = lower[:, KEPT["jaw"]] = 1

    def padded(directions: Tensor) -> Tensor:
        return torch.cat([directions, directions.new_zeros(len(directions), len(teeth), 3)], 1)

    return Body(
        template=torch.cat([body.template, teeth]),
        faces=body.faces,
        shapes=padded(body.shapes[:0]),
        expressions=padded(body.expressions),
        regressor=torch.cat([body.regressor, body.regressor.new_zeros(len(body.regressor), len(teeth))], 1),
        pose_dirs=padded(body.pose_dirs),
        weights=torch.cat([body.weights, upper, lower]),
        parents=body.parents,
    )


def _asset_regions(assets: Assets) -> dict[str, Tensor]:
    """Teeth, gums and bridge, and lips, as AnimPortrait3D's own segmentation has them."""
    count, first = len(assets.faces), assets.crop[assets.faces].min(1)

    def mask(ids: NDArray[np.int64]) -> Tensor:
        chosen = torch.zeros(count, dtype=torch.bool)
        chosen[torch.from_numpy(ids)] = True
        return chosen

    teeth, mouth = mask(assets.face_ids["all_teeth"]), mask(assets.face_ids["inner_mouth"])
    lower = torch.from_numpy(first >= BODY_VERTICES + TEETH_VERTICES)
    return {
        "teeth": teeth,
        "teeth_upper": teeth & ~lower,
        "teeth_lower": teeth & lower,
        "inner_mouth": mouth & ~teeth,
        "lips": mask(assets.face_ids["lips"]),
    }


def _moved(marks: Landmarks, old_faces: Tensor, faces: Tensor, kept: Tensor) -> Landmarks | None:
    """Landmarks on the faces that stay, by their new numbers; the corners of a face may stand in another order."""
    numbers = {tuple(sorted(face)): index for index, face in enumerate(kept[faces].tolist())}
    names, indices, places = [], [], []
    for name, old, place in zip(marks.names, old_faces[marks.faces].tolist(), marks.barycentrics.tolist(), strict=True):
        index = numbers.get(tuple(sorted(old)))
        if index is not None:
            names.append(name)
            indices.append(index)
            places.append([place[old.index(corner)] for corner in kept[faces[index]].tolist()])
    return Landmarks(tuple(names), torch.tensor(indices), torch.tensor(places)) if names else None
