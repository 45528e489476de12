"""Where a head lies on a surface when nobody says where its face is: tried from several sides, the best one wins."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.geometry import axis_angle_to_matrix
from pipeline.heads.surface_match import match, vertex_normals
from pipeline.reconstruction.head_models import HeadModel, Span
from pipeline.reconstruction.head_solver import Problem, descend
from pipeline.reconstruction.posed_head import Parameters, at_rest, in_world, world_vertices
from pipeline.reconstruction.surface_term import Scan, Skin, partners

Array = NDArray[np.float64]

PITCHES = (-0.25, 0.0, 0.25)
YAWS = (-0.3, 0.0, 0.3)
"""Turns in radians about the eyes of the starts that are tried."""
WHOLE_ROUNDS: tuple[tuple[float, float], ...] = (*((0.08, 0.03),) * 5, *((0.05, 0.02),) * 4)
"""Of each round with all skin: the longest way to a partner, and what the mean head may miss it by; metres."""
FACE_ROUNDS: tuple[tuple[float, float], ...] = ((0.03, 0.008),) * 4
"""The same with the face, which then decides."""
POINTS = 350
"""Vertices of either."""
FAR = 0.01
"""Metres from which a vertex is simply off."""


def best_start(model: HeadModel, skin: Skin, scan: Scan, place: Parameters) -> Parameters:
    """The mean person, moved, turned and scaled from the best of several starts about ``place`` onto the scan."""
    rigid = _rigid(model)
    in_face = np.isin(skin.vertices, model.faces[model.regions["face"]])
    whole, face = _thinned(skin, np.ones(len(in_face), bool)), _thinned(skin, in_face)
    eyes = in_world(place, _eyes(model))
    found = []
    for pitch, yaw in itertools.product(PITCHES, YAWS):
        turn = axis_angle_to_matrix(torch.tensor([pitch, yaw, 0.0], dtype=torch.float64)).numpy()
        now = at_rest(rigid.span, place.scale, turn @ place.rotation, turn @ (place.translation - eyes) + eyes)
        for some, rounds in ((whole, WHOLE_ROUNDS), (face, FACE_ROUNDS)):
            for reach, noise in rounds:
                rows = partners(some, world_vertices(rigid.span, now), scan, reach, noise)
                now = descend(Problem(rigid, None, rows), now, 1)
        found.append((_misses(face, world_vertices(rigid.span, now), scan), now))
    best = min(found, key=lambda each: each[0])[1]
    return at_rest(model.span, best.scale, best.rotation, best.translation)


def _thinned(skin: Skin, chosen: NDArray[np.bool_]) -> Skin:
    rows = np.flatnonzero(chosen)
    rows = rows[:: max(1, len(rows) // POINTS)]
    return Skin(skin.faces, skin.vertices[rows], skin.weights[rows])


def _rigid(model: HeadModel) -> HeadModel:
    """Only the place of the mean person is left to fit."""
    none = np.zeros(0)
    span = Span(model.span.mean, model.span.modes[:0], model.span.moves[:0], None)
    return replace(model, span=span, move_channels=(), move_limits=(none, none), move_deviations=none)


def _eyes(model: HeadModel) -> Array:
    """(3,) middle of the eyeballs of the mean person."""
    balls = model.faces[model.regions["eye_left"] | model.regions["eye_right"]]
    return model.span.mean[np.unique(balls)].mean(0)


def _misses(skin: Skin, points: Array, scan: Scan) -> float:
    """Mean way to the surface in metres, capped."""
    normals = vertex_normals(points, skin.faces)[skin.vertices]
    asked = points[skin.vertices]
    found = match(asked, normals, np.zeros(len(asked)), scan.mesh)
    ways = np.linalg.norm(found.points - asked, axis=1)
    facing = (found.normals * normals).sum(1) > 0
    return float(np.where(facing, np.minimum(ways, FAR), FAR).mean())
