"""`FlameHead`: a FLAME file that somebody brings becomes a `Rig`."""

from __future__ import annotations

from functools import cached_property

from torch import Tensor

from pipeline.heads.correspondence import Correspondence
from pipeline.heads.licensed import LicensedHead, Skeleton, Surface, make_rig, registered
from pipeline.heads.official_files import OfficialFiles, official_files
from pipeline.heads.rig import Rig
from pipeline.heads.smplx_module import Body

JOINT_NAMES = ("root", "neck", "jaw", "left_eye", "right_eye")
ORIGIN = "neck"
"""The joint that the origin is moved to."""


class FlameHead(LicensedHead):
    """FLAME 2019, 2020, 2023 or 2023 Open for one identity (Li et al., Learning a model of facial shape and expression
    from 4D scans, 2017).

    ``path``: the model's file, its archive as downloaded, or a folder with either; by default the preferred model of
    the folders in ``ANIMPORTRAIT3D_MODELS``; or a `ModelFile` that was found. ``shape``: up to 300 coefficients.
    ``release``: which one to take, or, with a path, what the file is where its name does not say so.
    Raises `UserError` when there is no such model, it cannot be used, or a coefficient is out of range.

    >>> rig = FlameHead("FLAME2023Open.zip", shape=[1.0, -0.5]).rig
    """

    kind = "flame"

    @property
    def shape_dirs(self) -> Tensor:
        return self._body.shapes

    @property
    def shape_joint_dirs(self) -> Tensor:
        return self._body.regressor @ self._body.shapes

    @cached_property
    def correspondence(self) -> Correspondence:
        return registered(_surface(self._body), _skeleton(self._body), self._official)

    @cached_property
    def rig(self) -> Rig:
        """Its origin is the neck joint."""
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
