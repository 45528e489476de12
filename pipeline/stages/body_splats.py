"""The body that a portrait's head is put on: skin, eyes, lashes and mouth of the procedural prior, on the fitted rig.

It gives places and sizes that hold in every pose, and the look of what no picture of a closed face shows: teeth,
tongue, the folded skin of the lids, the hidden part of the eyeballs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from pipeline.avatar import SH_C0, Layer, SplatAvatar
from pipeline.heads.rig import Rig
from pipeline.priors.procedural.attributes import Attributes, HairAttributes
from pipeline.priors.procedural.brows import make_lashes
from pipeline.priors.procedural.builder import Stream, assemble
from pipeline.priors.procedural.eyes import make_eyes
from pipeline.priors.procedural.hair.cage import REGION as CAGE
from pipeline.priors.procedural.hair.cage import TOP, hang_on_cage
from pipeline.priors.procedural.hair.scalp import Scalp
from pipeline.priors.procedural.mouth import make_mouth
from pipeline.priors.procedural.skin import make_skin
from pipeline.priors.procedural.splats import Shading, Splats
from pipeline.priors.procedural.surface import Surface
from pipeline.reconstruction.multiview import Part
from pipeline.stages.splat_sampling import Points
from pipeline.stages.view_colors import Seen

NEIGHBOURS = 8
"""Seen splats from which an unseen one takes its colour."""
LEAST_SHARE = 0.15
"""Of what the best seen splats weigh, from which the pictures decide a colour: folds of lids and lips show themselves
in few of them, and slantwise."""
BEST = 0.9
"""Quantile of the weights that counts as well seen."""
GAIN = (0.25, 3.0)
"""By how much the prior's colour of unseen skin is brought to the portrait's, at least and at most."""
HANGING_SHARE = 0.12
"""Share of the hair below the skull from which it hangs on a cage."""
BELOW = -0.03
"""Metres below the edge of the cage from which hair counts as hanging."""
LID_RANGE = (0.85, 1.1)
"""Of the brightness that a lid would have as plain skin."""
PLAIN = Attributes(seed=0, gender=0.5, age=30, hair=HairAttributes(style="bald"))
"""Nobody in particular: the pictures say who it is."""
BALLS = ("eye_left", "eye_right")
LIDS = ("eyelids", "eye_socket")
"""Regions of the skin that closed lids bring to light; open, they lie so near to the eye that pictures mix them up."""


@dataclass(frozen=True)
class Head:
    """A rig, and where its vertices lie on the free head's template, as the procedural layers take it."""

    rig: Rig
    template_points: Tensor
    """(V, 3)."""


def body(head: Head) -> SplatAvatar:
    """Skin, eyes, lashes and mouth on a head, at rest and in the prior's own colours; about 50 000 splats."""
    surface = Surface(head)
    makers = (
        (Stream.SKIN, make_skin), (Stream.EYES, make_eyes), (Stream.MOUTH, make_mouth), (Stream.BROWS, make_lashes),
    )  # fmt: skip
    parts = [make(surface, PLAIN, np.random.default_rng([PLAIN.seed, stream])) for stream, make in makers]
    return assemble(head.rig, Splats.concatenate(parts))


def with_cage(head: Head, points: Points) -> tuple[Rig, Tensor]:
    """The rig with a cage for long hair where ``points`` hold such, and which of them hang on it, (N,) bool."""
    hair = points.part == Part.HAIR
    scalp = Scalp(Surface(head), PLAIN)
    height = torch.from_numpy(scalp.place(points.position.numpy())[:, 1])
    on_cage = hair & (height < TOP)
    if CAGE in head.rig.regions:
        return head.rig, on_cage
    if int((hair & (height < TOP + BELOW)).sum()) <= HANGING_SHARE * int(hair.sum()):
        return head.rig, torch.zeros_like(on_cage)
    strands = Splats.of(
        Layer.HAIR, Shading.HAIR, face=0, position=points.position[hair].numpy(), rotation=np.eye(3), scale=1.0,
        opacity=1.0, albedo=0.0, normal=0.0,
    )  # fmt: skip
    return hang_on_cage(strands, scalp, head.rig), on_cage


def painted(avatar: SplatAvatar, seen: Seen) -> Tensor:
    """(N, 3) colours of the `body`: the pictures' where they show a splat, else what the prior says of the rest.

    Hidden parts of an eyeball take the colours that the seen part has as far from the gaze, since an eye looks the same
    all round; hidden skin keeps the prior's shading in the tone of its seen neighbours; mouth and lashes stay as they
    are. Lids are hardly darker or brighter than plain skin would be: what is, belongs to lashes and eyeballs.
    """
    known = seen.weight > LEAST_SHARE * seen.weight.quantile(BEST).clamp_min(1e-6)
    prior = (SH_C0 * avatar.sh.detach()[:, 0] + 0.5).clamp(0, 1)
    colors = torch.where(known[:, None], seen.colors, prior)
    rig, face = avatar.rig, avatar.face.long()
    means = avatar.gaussians(rig.vertices).means.detach()
    inside = avatar.layer == Layer.MOUTH
    if "inner_mouth" in rig.regions:
        inside |= rig.regions["inner_mouth"][face]
    colors[inside] = prior[inside]
    ball = torch.stack([rig.regions[name][face] for name in BALLS]).any(0)
    lashes = avatar.layer == Layer.BROW
    colors[lashes] = prior[lashes]
    skin = ~ball & ~inside & ~lashes
    lids = skin & rig.faces_in(LIDS)[face]
    plain = skin & known & ~lids
    colors = _toned(colors, prior, means, plain, skin & ~known)
    tone = (colors[plain] / prior[plain].clamp_min(0.02)).median(0).values if plain.any() else 1.0
    colors[lids] = colors[lids].clamp(*(share * tone * prior[lids] for share in LID_RANGE)).clamp(0, 1)
    return _rounded(colors, _gaze_angle(rig, face, means), ball & known, ball & ~known)


def _toned(colors: Tensor, prior: Tensor, means: Tensor, known: Tensor, unknown: Tensor) -> Tensor:
    """The prior's colours of ``unknown`` rows, changed as it had to be changed round them."""
    if not known.any() or not unknown.any():
        return colors
    near = _nearest(means[known], means[unknown])
    gain = (colors[known][near].mean(1) / prior[known][near].mean(1).clamp_min(0.02)).clamp(*GAIN)
    colors = colors.clone()
    colors[unknown] = (prior[unknown] * gain).clamp(0, 1)
    return colors


def _rounded(colors: Tensor, angle: Tensor, known: Tensor, unknown: Tensor) -> Tensor:
    if not known.any() or not unknown.any():
        return colors
    near = _nearest(angle[known, None], angle[unknown, None])
    colors = colors.clone()
    colors[unknown] = colors[known][near].median(1).values
    return colors


def _gaze_angle(rig: Rig, face: Tensor, means: Tensor) -> Tensor:
    """(N,) radians from straight ahead, seen from the joint of the eye that a splat is nearest to."""
    joints = rig.joints[[rig.joint_index("left_eye"), rig.joint_index("right_eye")]]
    away = means[:, None] - joints
    nearest = away.norm(dim=2).argmin(1)
    direction = torch.nn.functional.normalize(away[torch.arange(len(means)), nearest], dim=1)
    return torch.arccos(direction[:, 2].clamp(-1, 1))


def _nearest(known: Tensor, asked: Tensor) -> Tensor:
    """(M, K) rows of ``known`` (N, D) nearest to each of ``asked`` (M, D)."""
    count = min(NEIGHBOURS, len(known))
    rows = cKDTree(known.cpu().numpy()).query(asked.cpu().numpy(), count, workers=-1)[1]
    return torch.from_numpy(rows.reshape(len(asked), count))
