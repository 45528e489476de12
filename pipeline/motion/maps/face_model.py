"""`FaceModel`: a head model as the maps see it, beside the free head's actions at the size of its own face."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipeline.heads.anny_corrections import correct_actions
from pipeline.heads.anny_file import read_head_file
from pipeline.heads.correspondence import Correspondence
from pipeline.heads.rig import Rig
from pipeline.motion.motion import ARKIT_NAMES

Array = NDArray[np.float64]

EYELIDS = ("eyelid_left", "eyelid_right")
"""Expression channels that close the lids, on rigs that have them."""


@dataclass(frozen=True, eq=False)
class FaceModel:
    """One head model with a known place of its skin on the free head."""

    rig: Rig
    """Of any person: coefficients mean the same for everybody."""
    correspondence: Correspondence
    """Of the rig's vertices."""

    @cached_property
    def samples(self) -> NDArray[np.int64]:
        """(M,) the vertices of skin that the maps look at."""
        return self.correspondence.vertices.numpy()

    @cached_property
    def points(self) -> Array:
        """(M, 3) metres at rest."""
        return self.rig.vertices.numpy().astype(np.float64)[self.samples]

    @cached_property
    def channels(self) -> tuple[int, ...]:
        """The expression channels that are coefficients of the model's own basis: all but the eyelids."""
        return tuple(k for k, name in enumerate(self.rig.expression_names) if name not in EYELIDS)

    @cached_property
    def basis(self) -> Array:
        """(C, M, 3) metres that a coefficient of 1 moves the samples."""
        return self.rig.expressions.numpy()[list(self.channels)][:, self.samples].astype(np.float64)

    @cached_property
    def jaw_share(self) -> Array:
        """(M,) skin weight of the jaw."""
        return self.rig.weights.numpy()[self.samples, self.rig.joint_index("jaw")].astype(np.float64)

    @cached_property
    def actions(self) -> Array:
        """(52, M, 3) metres: what each ARKit action at 1 should do to this face."""
        head = read_head_file()
        offsets = head.actions.dense(len(head.template))
        correct_actions(head, self.correspondence.laid.numpy(), offsets)
        order = [head.actions.names.index(name) for name in ARKIT_NAMES]
        corners = head.faces[self.correspondence.faces.numpy()]
        shares = self.correspondence.barycentrics.numpy()[..., None]
        return (offsets[order][:, corners] * shares).sum(2).astype(np.float64)

    def inside(self, region: str) -> NDArray[np.bool_]:
        """(M,) whether a sample lies in that region of the free head."""
        return read_head_file().regions[region][self.correspondence.faces.numpy()]
