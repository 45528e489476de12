"""A head model laid over a portrait: which person it is, where, and with which face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.camera import Camera
from pipeline.errors import UserError
from pipeline.heads.rig import Rig
from pipeline.reconstruction.head_models import HeadModel, Made, head_model, model_of
from pipeline.reconstruction.head_solver import Problem, descend
from pipeline.reconstruction.landmark_term import LandmarkTerm, landmark_term
from pipeline.reconstruction.multiview import Observed, Similarity, Surface
from pipeline.reconstruction.posed_head import Parameters, at_rest, own_vertices, world_vertices
from pipeline.reconstruction.similarity_fit import fit_similarity
from pipeline.reconstruction.surface_start import best_start
from pipeline.reconstruction.surface_term import Scan, partners, scan_of, skin_of
from pipeline.reconstruction.triangulation import triangulate
from pipeline.reconstruction.usual_place import usual_place

Array = NDArray[np.float64]

LANDMARK_STEPS = 10
FIRST_BIAS, BIAS_ROUNDS = 0.004, 3
"""Metres per axis that landmarks are at first taken to be off in all views alike, and how often that is estimated."""
ROUNDS: tuple[tuple[float, float], ...] = (
    *((0.012, 0.004),) * 2, *((0.008, 0.0025),) * 3, *((0.006, 0.0015),) * 4,
)  # fmt: skip
"""Of each round on the surface, started from landmarks: the longest way to a partner, and what the model may miss it
by; metres."""
SURFACE_ROUNDS: tuple[tuple[float, float], ...] = (
    *((0.030, 0.010),) * 3, *((0.020, 0.006),) * 4, *((0.012, 0.003),) * 5, *((0.008, 0.0015),) * 6,
)  # fmt: skip
"""The same without landmarks."""
STEPS_PER_ROUND = 2
POSE_STEPS = 5
LEAST_LANDMARKS = 6
NO_LANDMARKS = (
    "no landmarks were given, so the head was fitted to the shape of the surface alone: eyes and mouth may lie some "
    "millimetres off"
)


@dataclass(frozen=True)
class HeadFit:
    """A rig in its own metres, and how it lies in the world of the portrait."""

    rig: Rig
    """Complete: it can be animated, drawn and stored."""
    template_points: Tensor
    """(V, 3) its vertices in the free head's template coordinates (`AnnyHead.template_points`)."""
    expression: Tensor
    """(1, E) that the portrait holds."""
    rotations: Tensor
    """(1, J, 3) radians; the turn of the head as a whole is part of ``to_source``."""
    to_source: Similarity
    notes: tuple[str, ...]
    """What a person should know about it: one sentence each."""

    def vertices(self) -> Tensor:
        """(V, 3) of the posed rig in the portrait's world."""
        return self.to_source.to_source(self.rig.pose(self.expression, self.rotations)[0])


def fit_head(
    kind: str,
    observed: Observed | None,
    cameras: Sequence[Camera],
    surface: Surface | None,
    start: Similarity | None = None,
) -> HeadFit:
    """Fit ``anny``, ``flame`` or ``smplx`` (or a release) to what is seen of a portrait.

    ``observed``: landmarks in the pictures of ``cameras``, in any scale of world; ``surface``: the portrait's outer
    surface in that world. At least one of the two. ``start``: about where the head is, and how large (a
    world in metres has scale 1); by default the place and the size that the cameras are meant for.
    Levenberg-Marquardt on the reprojection of every landmark in every view, on point-to-plane distances to the surface,
    and on the model's prior. Deterministic.
    Raises `UserError` without either, for landmarks that cannot be located, or when there is no such head model.
    """
    if observed is None and surface is None:
        raise UserError("a head is fitted to landmarks or to a surface; there is neither")
    model = head_model(kind)
    usual = start or _usual_place(model, cameras)
    metres = Similarity(usual.scale, torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))
    inside = [metres.camera_of_rig(camera) for camera in cameras]
    scan = None if surface is None else scan_of(replace(surface, vertices=metres.to_rig(surface.vertices.double())))
    if observed is not None:
        marks = landmark_term(model, observed, inside)
        now, marks = _from_landmarks(model, marks, observed, inside)
        rounds = ROUNDS
    else:
        assert scan is not None
        marks = None
        place = Similarity(1.0, usual.rotation.double(), usual.translation.double() / usual.scale)
        now = best_start(model, skin_of(model), scan, _parameters(model, place))
        rounds = SURFACE_ROUNDS
    if scan is not None:
        now = _onto_surface(model, marks, scan, now, rounds)
    made = model.make(now.coefficients)
    return _posed(model, made, now, observed, inside, scan, usual.scale)


def _usual_place(model: HeadModel, cameras: Sequence[Camera]) -> Similarity:
    return usual_place(model.landmarks, torch.from_numpy(model.span.mean), torch.from_numpy(model.faces), cameras)


def _parameters(model: HeadModel, place: Similarity) -> Parameters:
    return at_rest(model.span, place.scale, place.rotation.double().numpy(), place.translation.double().numpy())


def _from_landmarks(
    model: HeadModel, marks: LandmarkTerm, observed: Observed, cameras: Sequence[Camera]
) -> tuple[Parameters, LandmarkTerm]:
    """The mean head where the triangulated landmarks are, then the person and the face that they show.

    How far the landmarks are to be believed is found on the way: from much doubt to what is left of it.
    """
    points, confidence = triangulate(observed, cameras)
    names = [name for name in observed.names if name in model.landmarks.names]
    if len(names) < LEAST_LANDMARKS:
        raise UserError(f"{len(names)} of the landmarks are known to this head model; {LEAST_LANDMARKS} are needed")
    theirs = [observed.names.index(name) for name in names]
    ours = [model.landmarks.names.index(name) for name in names]
    mean = model.landmarks.positions(torch.from_numpy(model.span.mean), torch.from_numpy(model.faces))[ours]
    place = fit_similarity(mean, points[theirs], confidence[theirs])
    now, bias = _parameters(model, place), FIRST_BIAS
    for _ in range(BIAS_ROUNDS):
        marks = marks.biased(_marked(model, marks, now), bias)
        now = descend(Problem(model, marks), now, LANDMARK_STEPS)
        bias = min(bias, marks.bias(_marked(model, marks, now)))
    return now, marks


def _marked(model: HeadModel, marks: LandmarkTerm, now: Parameters) -> Array:
    """(L, 3) where the landmarks of the model are."""
    corners = world_vertices(model.span.only(marks.corners.ravel()), now).reshape(-1, 3, 3)
    return (corners * marks.shares[..., None]).sum(1)


def _onto_surface(
    model: HeadModel, marks: LandmarkTerm | None, scan: Scan, now: Parameters, rounds: tuple[tuple[float, float], ...]
) -> Parameters:
    skin = skin_of(model)
    for reach, noise in rounds:
        rows = partners(skin, world_vertices(model.span, now), scan, reach, noise)
        now = descend(Problem(model, marks, rows), now, STEPS_PER_ROUND)
    return now


def _posed(
    model: HeadModel,
    made: Made,
    now: Parameters,
    observed: Observed | None,
    cameras: Sequence[Camera],
    scan: Scan | None,
    unit: float,
) -> HeadFit:
    """The finished rig, whose actions fit its own face and whose coefficients are rounded, where the fit had it."""
    finished = model_of(made.rig)
    own = len(model.span.mean)
    goal = torch.from_numpy(world_vertices(model.span, now))
    rows = np.unique(model.faces[model.regions["face"]])
    still = replace(at_rest(finished.span, 1.0, np.eye(3), np.zeros(3)), moves=now.moves, jaw=now.jaw)
    here = torch.from_numpy(own_vertices(finished.span, still)[:own])
    place = fit_similarity(here[rows], goal[rows], torch.ones(len(rows)))
    then = replace(still, scale=place.scale, rotation=place.rotation.numpy(), translation=place.translation.numpy())
    marks = None if observed is None else landmark_term(finished, observed, cameras)
    matched = None
    if scan is not None:
        reach, noise = ROUNDS[-1]
        matched = partners(skin_of(finished), world_vertices(finished.span, then), scan, reach, noise)
    then = descend(Problem(finished, marks, matched), then, POSE_STEPS)
    expression, rotations = made.rig.neutral()
    expression[0, list(finished.move_channels)] = torch.from_numpy(then.moves).float()
    if finished.span.jaw is not None:
        rotations[0, finished.span.jaw.index] = torch.from_numpy(then.jaw).float()
    rotation, translation = torch.from_numpy(then.rotation).float(), torch.from_numpy(unit * then.translation).float()
    to_source = Similarity(unit * then.scale, rotation, translation)
    return HeadFit(made.rig, made.template_points, expression, rotations, to_source, _notes(finished, then, marks))


def _notes(model: HeadModel, now: Parameters, marks: LandmarkTerm | None) -> tuple[str, ...]:
    if marks is None:
        return (NO_LANDMARKS,)
    errors = marks.errors(_marked(model, marks, now))[marks.weights > 0]
    return (f"the head lies {np.median(errors):.1f} pixels from the landmarks, {marks.seen} of which are seen",)
