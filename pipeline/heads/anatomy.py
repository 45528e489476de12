"""Regions, landmarks and eyelids of a foreign head model, carried over from the free head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from pipeline.heads.anny_corrections import correct_actions
from pipeline.heads.anny_file import HeadFile, read_head_file
from pipeline.heads.correspondence import EYE_SHARE, SIDES, Correspondence
from pipeline.heads.registration import body_faces, lip_side, lower_share
from pipeline.heads.rig import Landmarks
from pipeline.heads.surface_match import Match, Surface3D, match, vertex_normals

Array = NDArray[np.float64]
Ids = NDArray[np.int64]
Mask = NDArray[np.bool_]

PARTS = ("scalp", "face", "ears", "neck", "torso", "inner_mouth", "eye_socket")
"""Every face of the body lies in one of these."""
OVERLAYS = ("lips", "eyelids")
BUST_REACH = 0.03
"""Metres from the free head beyond which a face belongs to the limbs, which no portrait shows."""
IRIS_ANGLE = 0.42
"""Radians from the gaze, seen from the middle of the eyeball, within which a face belongs to the iris."""
LID_REACH = (0.42, 0.60)
"""Shares of the distance between the eyes between which a blink fades out: Anny's moves nose and cheeks a little."""
PUPILS = {"pupil_left": "left", "mediapipe_473": "left", "pupil_right": "right", "mediapipe_468": "right"}


@dataclass(frozen=True)
class Anatomy:
    """What a head model's file does not say about its mesh."""

    regions: dict[str, Tensor]
    """Name → (F,) bool: skin, scalp, face, ears, lips, eyelids, eye_socket, eye_left, eye_right, iris_left,
    iris_right, inner_mouth, neck, torso, limbs (no part of a portrait)."""
    landmarks: Landmarks
    """68 of iBUG, two pupils, and the part of MediaPipe's set that the free head has."""
    eyelids: Tensor
    """(2, V, 3) metres: left and right lid closing, to be added like an expression; they just close at 1."""


def anatomy(
    vertices: ArrayLike,
    faces: ArrayLike,
    weights: ArrayLike,
    joint_names: tuple[str, ...],
    correspondence: Correspondence,
    official: Landmarks | None = None,
) -> Anatomy:
    """Regions, landmarks and lids of a model.

    ``faces`` (F, 3), ``weights`` (V, J) and ``joint_names`` are those that `correspond` was given, ``vertices`` (V, 3)
    those or the vertices of another person of the same model, wherever their origin is.
    Points of ``official`` (the model's own landmark file) replace those of the same name.
    """
    head = read_head_file()
    points, triangles = np.asarray(vertices, np.float64), np.asarray(faces, np.int64)
    skinning = np.asarray(weights, np.float64)
    balls = {side: skinning[:, joint_names.index(f"{side}_eye")] > EYE_SHARE for side in SIDES}
    lower = lip_side(skinning[:, joint_names.index("jaw")])
    body: Mask = ~np.any((balls["left"] | balls["right"])[triangles], axis=1)
    places = _places(head, correspondence, triangles[body], lower)
    regions = _regions(head, places, correspondence.template_points.numpy(), triangles, body, points, balls)
    model = Surface3D(points, triangles, lower, np.flatnonzero(regions["skin"]))
    laid = correspondence.laid_on(torch.from_numpy(points).float()).numpy()
    landmarks = _landmarks(head, laid.astype(np.float64), model, points, balls)
    return Anatomy(
        {name: torch.from_numpy(mask) for name, mask in regions.items()},
        _replaced(landmarks, official),
        torch.from_numpy(_eyelids(head, laid, places, points, balls)),
    )


def _places(head: HeadFile, correspondence: Correspondence, body: Ids, lower: Array) -> Match:
    """Every vertex of the model on the free head's template; rows of eyeballs have no meaning."""
    template = correspondence.template_points.numpy().astype(np.float64)
    normals = vertex_normals(template, body)
    free = Surface3D(head.template.astype(np.float64), head.faces, lower_share(head), np.flatnonzero(body_faces(head)))
    return match(template, normals, lower, free)


def _regions(
    head: HeadFile, places: Match, template: Array, faces: Ids, body: Mask, vertices: Array, balls: dict[str, Mask]
) -> dict[str, Mask]:
    corners = head.faces[places.faces]
    soft = {name: (_soft(head, name)[corners] * places.barycentrics).sum(1)[faces].mean(1) for name in PARTS + OVERLAYS}
    part = np.stack([soft[name] for name in PARTS]).argmax(0)
    limbs = body & (np.linalg.norm(places.points - template, axis=1)[faces] > BUST_REACH).any(1)
    regions = {name: body & ~limbs & (part == number) for number, name in enumerate(PARTS)}
    regions["limbs"] = limbs
    regions["skin"] = body & ~limbs & ~regions["inner_mouth"] & ~regions["eye_socket"]
    for name in OVERLAYS:
        regions[name] = regions["skin"] & (soft[name] > 0.5)
    for side in SIDES:
        regions[f"eye_{side}"] = balls[side][faces].all(1)
        regions[f"iris_{side}"] = regions[f"eye_{side}"] & _iris(vertices, faces, balls[side])
    return regions


def _soft(head: HeadFile, region: str) -> Array:
    """(V,) share of the free head's triangles round each vertex that lie in a region."""
    count = len(head.template)
    inside = np.bincount(head.faces.ravel(), np.repeat(head.regions[region], 3), count)
    return inside / np.bincount(head.faces.ravel(), minlength=count).clip(1)


def _iris(vertices: Array, faces: Ids, ball: Mask) -> Mask:
    ray = vertices[faces].mean(1) - vertices[ball].mean(0)
    return np.arccos(ray[:, 2] / np.linalg.norm(ray, axis=1).clip(1e-9)) < IRIS_ANGLE


def _landmarks(head: HeadFile, laid: Array, model: Surface3D, vertices: Array, balls: dict[str, Mask]) -> Landmarks:
    corners, shares = head.faces[head.landmark_faces], head.landmark_barycentrics[..., None]
    normals = (vertex_normals(laid, head.faces)[corners] * shares).sum(1)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-9)
    lower = (lower_share(head)[corners] * shares[..., 0]).sum(1)
    found = match((laid[corners] * shares).sum(1), normals, lower, model)
    at, weights = found.faces.copy(), found.barycentrics.copy()
    for name, side in PUPILS.items():
        row = head.landmark_names.index(name)
        at[row], weights[row] = _pupil(vertices, model.faces, balls[side])
    return Landmarks(head.landmark_names, torch.from_numpy(at), torch.from_numpy(weights.astype(np.float32)))


def _pupil(vertices: Array, faces: Ids, ball: Mask) -> tuple[int, Array]:
    """Face and barycentrics of the front of an eyeball."""
    own = np.flatnonzero(ball[faces].all(1))
    points = vertices[ball]
    front = np.array([[*points.mean(0)[:2], points[:, 2].max()]])
    eye = Surface3D(vertices, faces, np.zeros(len(vertices)), own)
    found = match(front, np.array([[0.0, 0.0, 1.0]]), np.zeros(1), eye)
    return int(found.faces[0]), found.barycentrics[0]


def _replaced(landmarks: Landmarks, official: Landmarks | None) -> Landmarks:
    if official is None:
        return landmarks
    faces, barycentrics = landmarks.faces.clone(), landmarks.barycentrics.clone()
    for row, name in enumerate(official.names):
        if name in landmarks.names:
            own = landmarks.names.index(name)
            faces[own], barycentrics[own] = official.faces[row], official.barycentrics[row]
    return Landmarks(landmarks.names, faces, barycentrics)


def _eyelids(
    head: HeadFile, laid: NDArray[np.float32], places: Match, vertices: Array, balls: dict[str, Mask]
) -> NDArray[np.float32]:
    """The free head's blinks at the size and the opening of these lids, read off at the model's vertices."""
    actions = head.actions.dense(len(head.template))
    correct_actions(head, laid, actions)
    blinks = actions[[head.actions.names.index(f"eyeBlink{side.capitalize()}") for side in SIDES]]
    corners = head.faces[places.faces]
    lids = (blinks[:, corners] * places.barycentrics[..., None]).sum(2)
    eyes = [vertices[balls[side]].mean(0) for side in SIDES]
    for lid, eye in zip(lids, eyes, strict=True):
        way = np.linalg.norm(vertices - eye, axis=1) / np.linalg.norm(eyes[0] - eyes[1])
        lid *= np.clip((LID_REACH[1] - way) / (LID_REACH[1] - LID_REACH[0]), 0, 1)[:, None]
    lids[:, balls["left"] | balls["right"]] = 0
    return lids.astype(np.float32)
