"""`FlameHead`: a FLAME file that somebody brings becomes a `Rig`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch

from pipeline.heads.correspondence import Correspondence
from pipeline.heads.licensed import Skeleton, Surface, make_rig, registered
from pipeline.heads.model_files import ModelFile, find_model, model_at
from pipeline.heads.official_files import OfficialFiles, official_files
from pipeline.heads.rig import Rig
from pipeline.heads.smplx_module import Body, load_body, shape_coefficients

JOINT_NAMES = ("root", "neck", "jaw", "left_eye", "right_eye")
ORIGIN = "neck"
"""The joint that the origin is moved to."""


class FlameHead:
    """FLAME 2019, 2020, 2023 or 2023 Open for one identity (Li et al., Learning a model of facial shape and expression
    from 4D scans, 2017).

    ``path``: the model's file, its archive as downloaded, or a folder with either; by default the preferred model of
    the folders in ``ANIMPORTRAIT3D_MODELS``. ``shape``: up to 300 coefficients. ``release``: which one to take, or,
    with a path, what the file is where its name does not say so.
    Raises `UserError` when there is no such model, it cannot be used, or a coefficient is out of range.

    >>> rig = FlameHead("FLAME2023Open.zip", shape=[1.0, -0.5]).rig
    """

    def __init__(
        self, path: Path | str | None = None, shape: Sequence[float] | None = None, release: str | None = None
    ) -> None:
        self.file: ModelFile = (
            find_model(release or "flame") if path is None else model_at(Path(path), "flame", release)
        )
        assert self.file.model is not None
        self._model = self.file.model
        self._body = load_body(self._model)
        self.shape = shape_coefficients(shape, self._body, self.file.name)

    @property
    def release(self) -> str:
        """``flame2019``, ``flame2020``, ``flame2023`` or ``flame2023_open``: also the basis of the rig."""
        return self.file.release

    @property
    def content(self) -> str:
        """SHA-256 of the model file, hex: together with the shape it says which head this is."""
        return self._model.content

    @property
    def shape_dirs(self) -> torch.Tensor:
        """(S, V, 3) metres that each shape coefficient at 1 moves the rig's vertices."""
        return self._body.shapes

    @property
    def template_points(self) -> torch.Tensor:
        """(V, 3) where every vertex lies in the free head's template coordinates, see `AnnyHead.template_points`."""
        return self.correspondence.template_points

    @cached_property
    def correspondence(self) -> Correspondence:
        """The template registered with the free head; the first time for a model takes seconds."""
        return registered(_surface(self._body), _skeleton(self._body), self._official)

    @cached_property
    def rig(self) -> Rig:
        """The rig of this identity, origin at its neck joint; the last two expressions close the eyelids."""
        body, surface = self._body, _surface(self._body)
        person = body.shaped(self.shape)
        return make_rig(
            basis=self.release,
            surface=surface,
            skeleton=_skeleton(body),
            person=person,
            joints=body.regressor @ person,
            joint_dirs=body.regressor @ body.expressions,
            origin=ORIGIN,
            place=self.correspondence,
            official=self._official,
        )

    @cached_property
    def _official(self) -> OfficialFiles:
        return official_files(self.file.source.parent, len(self._body.faces))


def _skeleton(body: Body) -> Skeleton:
    return Skeleton(JOINT_NAMES, body.parents)


def _surface(body: Body) -> Surface:
    return Surface(body.template, body.faces, body.weights, body.pose_dirs, body.expressions, {})
