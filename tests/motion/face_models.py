"""A FLAME-like head whose place on the free head is known: another person of the free head, under coefficients.

Its hundred expression directions are smooth, mixed and damped, so that their span holds no ARKit action exactly.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.heads import AnnyHead
from pipeline.heads.correspondence import Correspondence
from pipeline.heads.model_cache import Converted
from pipeline.heads.model_files import ModelFile
from pipeline.heads.rig import Rig
from pipeline.motion import ARKIT_NAMES, Motion, retarget
from pipeline.motion.maps import library
from pipeline.motion.maps.face_model import EYELIDS, FaceModel
from pipeline.motion.maps.metric import contact_pairs
from pipeline.motion.motion import still

OPEN, CLOSE, TONGUE = (ARKIT_NAMES.index(name) for name in ("jawOpen", "mouthClose", "tongueOut"))
"""FLAME and SMPL-X have no tongue, so tongueOut cannot come back."""
JOINTS = ("root", "neck", "jaw", "left_eye", "right_eye")
JAW_TURN = 0.39
"""Radians of the free head's jawOpen, by which its displacement becomes a skin weight."""


@lru_cache(maxsize=4)
def flame_like(basis: str = "flame2020", seed: int = 0, eyelids: bool = True) -> FaceModel:
    """A woman with the joints of FLAME and a basis of her release: one seed, one release."""
    person = AnnyHead({"gender": 1.0, "age": 0.6, "asian": 0.8}).rig
    body = torch.unique(person.faces[person.regions["skin"] | person.regions["inner_mouth"]])
    directions = _directions(person, body, seed)
    names = tuple(f"expression_{k:03d}" for k in range(len(directions)))
    if eyelids:
        blinks = [person.expression_index(f"eyeBlink{side}") for side in ("Left", "Right")]
        directions = torch.cat([directions, person.expressions[blinks]])
        names += EYELIDS
    rig = Rig(
        vertices=person.vertices, faces=person.faces, expressions=directions, expression_names=names, basis=basis,
        joints=_joints(person), joint_names=JOINTS, parents=(-1, 0, 1, 1, 1), weights=_weights(person),
        regions=person.regions, landmarks=person.landmarks,
    )  # fmt: skip
    return FaceModel(rig, _itself(person))


def _directions(person: Rig, body: torch.Tensor, seed: int) -> torch.Tensor:
    """(100, V, 3): principal directions of faces that warped actions and smooth bumps make, in standard deviations."""
    random = np.random.default_rng(seed)
    points = person.vertices.numpy().astype(np.float64)
    centres = points[random.choice(body.numpy(), 120)]
    bumps = np.exp(-((np.linalg.norm(points[:, None] - centres, axis=2) / 0.02) ** 2))
    ways = (random.normal(size=(200, 120, 1)) * random.normal(size=(200, 120, 3)) * 4e-4).transpose(0, 2, 1)
    samples = (ways.reshape(600, 120) @ bumps.T).reshape(200, 3, -1).transpose(0, 2, 1)
    actions = person.expressions.numpy().astype(np.float64)
    mixes = np.abs(random.normal(size=(200, len(actions)))) * (random.random((200, len(actions))) < 0.2)
    warp = 1 + 0.25 * bumps @ random.normal(size=(120, 3))
    samples = samples + np.tensordot(mixes, actions, 1) * warp
    samples -= samples.mean(0)
    moved = np.zeros_like(points)
    moved[body.numpy()] = 1
    flat = (samples * moved).reshape(len(samples), -1)
    _, sizes, modes = np.linalg.svd(flat, full_matrices=False)
    scaled = modes[:100] * (sizes[:100, None] / np.sqrt(len(samples)))
    return torch.from_numpy(scaled.reshape(100, -1, 3).astype(np.float32))


def _weights(person: Rig) -> torch.Tensor:
    opening = person.expressions[person.expression_index("jawOpen")]
    hinge = _joints(person)[2]
    reach = (person.vertices - hinge)[:, 1:].norm(dim=1).clamp_min(0.02)
    jaw = (opening.norm(dim=1) / (JAW_TURN * reach)).clamp(0, 1)
    jaw = jaw * jaw * (3 - 2 * jaw)
    weights = torch.zeros(len(person.vertices), len(JOINTS))
    weights[:, 2], weights[:, 1] = jaw, 1 - jaw
    for joint, side in ((3, "left"), (4, "right")):
        ball = torch.unique(person.faces[person.regions[f"eye_{side}"]])
        weights[ball] = torch.eye(len(JOINTS))[joint]
    return weights


def _joints(person: Rig) -> torch.Tensor:
    eyes = [person.joints[person.joint_index(f"{side}_eye")] for side in ("left", "right")]
    neck = person.joints[person.joint_index("neck03")]
    return torch.stack([neck - torch.tensor([0, 0.05, 0]), neck, torch.tensor([0.0, 0.01, 0.02]), *eyes])


def _itself(person: Rig) -> Correspondence:
    """Every vertex of the skin at its own corner of the free head's mesh."""
    vertices = torch.unique(person.faces[person.regions["skin"]])
    corner = torch.full((len(person.vertices), 2), -1, dtype=torch.long)
    for column in range(3):
        corner[person.faces[:, column]] = torch.stack(
            [torch.arange(len(person.faces)), torch.full((len(person.faces),), column)], dim=1
        )
    skin = torch.where(person.regions["skin"])[0]
    for column in range(3):
        corner[person.faces[skin, column]] = torch.stack([skin, torch.full((len(skin),), column)], dim=1)
    chosen = corner[vertices]
    template, shares = AnnyHead().template_points, torch.eye(3)[chosen[:, 1]]
    return Correspondence(template, vertices, chosen[:, 0], shares, person.vertices, person.vertices)


def in_the_folder(monkeypatch: pytest.MonkeyPatch, models: dict[str, FaceModel]) -> None:
    """As if files of these releases were in the user's folder."""
    converted = Converted("", "flame", {})
    files = {release: ModelFile("flame", release, Path(release), "", model=converted) for release in models}
    monkeypatch.setattr(library, "_files", lambda: files)
    monkeypatch.setattr(library, "_load", lambda kind, release, content: models[release])


def weights_clip(weights: torch.Tensor) -> Motion:
    """Weights (T, 52) at 30 frames per second."""
    return Motion(fps=30, basis="arkit52", expression=weights, **still(len(weights)))


def on_model(motion: Motion, model: FaceModel) -> Motion:
    """The clip as a file of the model's own would hold it."""
    rig = model.rig
    driven = retarget(motion, rig, relative=False)
    turn = {name: driven.rotations[:, joint] for joint, name in enumerate(rig.joint_names)}
    lids = [k for k, name in enumerate(rig.expression_names) if name in EYELIDS]
    return Motion(
        fps=motion.fps, basis=rig.basis, expression=driven.expression[:, list(model.channels)],
        eyelids=driven.expression[:, lids] if lids else None,
        global_rotation=turn.get("root", torch.zeros(len(motion), 3)), neck=turn["neck"], head=turn.get("head"),
        jaw=turn["jaw"], left_eye=turn["left_eye"], right_eye=turn["right_eye"],
    )  # fmt: skip


def error_of_round_trip(motion: Motion, model: FaceModel, free: Rig) -> torch.Tensor:
    """(T, 52) of what comes back to the free head from an ARKit clip."""
    back = retarget(on_model(motion, model), free)
    assert back.notes == ()
    return (back.expression - motion.expression.clamp(0, 1)).abs()


def lip_gaps(posed: torch.Tensor, model: FaceModel) -> np.ndarray:
    """(T,) millimetres by which lips that touch at rest have parted, mean over the mouth."""
    return 1e3 * _apart(posed.numpy()[:, model.samples, 1] - model.points[:, 1], model)


def lip_gaps_of_actions(weights: torch.Tensor, model: FaceModel) -> np.ndarray:
    """(T,) likewise, where the lips move exactly as the free head's actions say."""
    return 1e3 * _apart(weights.double().numpy() @ model.actions[:, :, 1], model)


def _apart(heights: np.ndarray, model: FaceModel) -> np.ndarray:
    pairs = contact_pairs(model)
    return (heights[:, pairs[:, 0]] - heights[:, pairs[:, 1]]).mean(1)
