"""ARKit weights as JSON, tables and arrays: clocks, spellings, and what is said where something does not fit."""

import json
import pickle
import wave

import numpy as np
import pytest
import torch

from pipeline.errors import MotionError
from pipeline.motion import load_motion
from pipeline.motion.exports import write_arkit_json
from pipeline.motion.formats.head_turns import from_angles
from pipeline.motion.motion import ARKIT_NAMES
from tests.motion.formats.layouts_arkit import (
    LAYOUTS,
    a_face,
    some_angles,
    weight_frames,
    write_json,
    write_livelink,
    write_rows,
)
from tests.motion.making import a_motion


def changed(tmp_path, layout, change):
    """A layout's JSON document after ``change`` has altered it."""
    (path,) = LAYOUTS[layout][0](tmp_path)
    document = json.loads(path.read_text())
    answer = change(document)
    return [write_json(path, document if answer is None else answer)]


def test_our_own_export_comes_back(tmp_path):
    face = a_motion(frames=20, basis="arkit52", width=52, fps=24.0)
    write_arkit_json(face, tmp_path / "clip.json")
    motion = load_motion([tmp_path / "clip.json"])
    assert motion.fps == 24
    assert torch.allclose(motion.expression, face.expression, atol=1e-5)


def test_uneven_json_frames_are_resampled(tmp_path):
    frames = weight_frames(a_face(), 30, [])
    del frames[40:43]
    motion = load_motion([write_json(tmp_path / "a.json", {"names": ARKIT_NAMES, "frames": frames})])
    assert (len(motion), motion.fps) == (90, 30)
    assert any("3 of 90 frames are missing" in note for note in motion.notes)
    np.testing.assert_allclose(motion.expression[43:].numpy(), a_face()[43:], atol=1e-6)


def test_json_without_times_uses_what_it_says(tmp_path):
    frames = [{"weights": row} for row in a_face(5).tolist()]
    document = {"names": ARKIT_NAMES, "frames": frames, "metadata": {"fps": 48}}
    assert load_motion([write_json(tmp_path / "a.json", document)]).fps == 48
    del document["metadata"]
    motion = load_motion([write_json(tmp_path / "a.json", document)])
    assert motion.fps == 30
    assert any("30 frames per second were assumed" in note for note in motion.notes)


def test_unexplained_rotation_is_left_out_and_told(tmp_path):
    document = {"names": ARKIT_NAMES, "frames": weight_frames(a_face(5), 30, [0.1, 0.2, 0.3])}
    motion = load_motion([write_json(tmp_path / "a.json", document)])
    assert motion.head is None
    assert any("neither its axes nor its unit" in note for note in motion.notes)


@pytest.mark.parametrize(
    ("layout", "change", "told"),
    [
        ("lam", lambda d: d["frames"][3].pop("weights"), "no list of equally long lists"),
        ("lam", lambda d: d["frames"][3]["weights"].pop(), "no list of equally long lists"),
        ("lam", lambda d: d["names"].pop(), "52 weights in a frame but 51 names"),
        ("lam", lambda d: d.update(names=["a"] * 52), "names a, a, a.*ARKit's names"),
        ("lam", lambda d: d["names"].__setitem__(1, "browDownLeft"), "browDownLeft twice"),
        ("lam", lambda d: d["frames"][3].update(time=-5), "runs backwards"),
        ("lam", lambda d: d["frames"][3].update(time="x"), "time in bsData.json is no list"),
        ("lam", lambda d: d["frames"].__setitem__(3, 7), "no list of equally long lists"),
        ("audio2face", lambda d: d["weightMat"].append([1]), "weightMat in .* is no list"),
        ("audio2face", lambda d: d.update(weightMat=[]), "weightMat in .* has shape"),
        ("audio2face", lambda d: d.update(exportFps=0), "the frame rate is 0"),
        ("audio2face", lambda d: d.update(facsNames=["browLowerL"] * 52), "ARKit's names"),
        ("json_clip", lambda d: d.update(motion_version=2), "version 2; this program reads version 1"),
        ("json_clip", lambda d: d.update(fps="x"), "fps in clip.json must be a number"),
        ("json_clip", lambda d: d.update(basis="x"), "basis is 'x'"),
        ("json_clip", lambda d: d.update(neck=[[0, 0]]), "neck has shape"),
        ("json_clip", lambda d: d["expression"][0].__setitem__(0, None), "NaN or infinite value in frame 0"),
        ("mediapipe", lambda d: [{"a": 1}, *d], "no motion was found"),
        ("mediapipe", lambda d: [*d[:40], *({"timestamp": 40 * k} for k in range(40, 70)), *d[70:]], "missing values"),
    ],
)  # fmt: skip
def test_wrong_json(tmp_path, layout, change, told):
    def apply(document):
        answer = change(document)
        return answer if layout == "mediapipe" else None

    with pytest.raises(MotionError, match=told):
        load_motion(changed(tmp_path, layout, apply))


@pytest.mark.parametrize("shape", ["flat", "frames", "list of scores", "snake case"])
def test_shapes_of_named_frames(tmp_path, shape):
    def scores(row):
        return dict(zip(ARKIT_NAMES, row, strict=True))

    def frame(row):
        listed = [{"categoryName": name, "score": value} for name, value in scores(row).items()]
        snake = [{"category_name": name, "score": value, "index": 0} for name, value in scores(row).items()]
        return {"flat": scores(row), "frames": scores(row), "list of scores": [listed], "snake case": snake}[shape]

    frames = [frame(row) for row in a_face(30).tolist()]
    document = {"fps": 24, "frames": frames} if shape == "frames" else frames
    motion = load_motion([write_json(tmp_path / "a.json", document)])
    assert motion.fps == (24 if shape == "frames" else 30)
    np.testing.assert_allclose(motion.expression.numpy(), a_face(30), atol=1e-6)


def test_frames_without_a_face_are_filled_in(tmp_path):
    def lose(document):
        for number in (10, 11):
            document[number]["faceBlendshapes"] = []

    motion = load_motion(changed(tmp_path, "mediapipe", lose))
    assert len(motion) == 90
    np.testing.assert_allclose(motion.expression[12:, :51].numpy(), a_face()[12:, :51], atol=1e-6)
    assert any("filled" in note for note in motion.notes)


@pytest.mark.parametrize("layout", ["nested", "column by column"])
def test_mediapipe_turns(tmp_path, layout):
    turn = from_angles(some_angles())
    matrices = np.tile(np.eye(4), (90, 1, 1))
    matrices[:, :3, :3] = torch.linalg.matrix_exp(torch.from_numpy(np.cross(turn[:, None], -np.eye(3)))).numpy()
    matrices[:, :3, 3] = (1, 2, -40)

    def turned(document):
        for frame, matrix in zip(document, matrices, strict=True):
            if layout == "nested":
                frame["facial_transformation_matrixes"] = [matrix.tolist()]
            else:
                data = matrix.T.reshape(-1).tolist()
                frame["facialTransformationMatrixes"] = [{"rows": 4, "columns": 4, "data": data}]

    motion = load_motion(changed(tmp_path, "mediapipe", turned))
    np.testing.assert_allclose((motion.neck + motion.head).numpy(), turn, atol=1e-5)


def test_audio2face_table_counts_seconds(tmp_path):
    """The csv of Audio2Face-3D: a column timeCode in seconds, names below blendShapes."""
    rows = [["timeCode", *(f"blendShapes.{name[0].upper()}{name[1:]}" for name in ARKIT_NAMES)]]
    rows += [[str(round(k / 30, 6)), *map(str, row)] for k, row in enumerate(a_face())]
    motion = load_motion([write_rows(tmp_path / "animation_frames.csv", rows)])
    assert (motion.format, motion.fps) == ("table of ARKit actions", 30)
    np.testing.assert_allclose(motion.expression.numpy(), a_face(), atol=1e-6)


def test_an_array_for_every_action(tmp_path):
    face = a_face()
    columns = {name: face[:, k] for k, name in enumerate(ARKIT_NAMES)}
    np.savez(tmp_path / "a.npz", **columns, timestamps=np.arange(90) * 20.0)
    motion = load_motion([tmp_path / "a.npz"])
    assert motion.fps == 50
    np.testing.assert_allclose(motion.expression.numpy(), face, atol=1e-6)
    np.savez(tmp_path / "b.npz", **(columns | {"jawOpen": face[:50, 0]}))
    with pytest.raises(MotionError, match="different lengths"):
        load_motion([tmp_path / "b.npz"])


def test_neutral_and_other_columns_are_no_actions(tmp_path):
    names = ["_neutral", "confidence", *ARKIT_NAMES]
    values = np.concatenate([np.full((90, 1), 1e-6), np.ones((90, 1)), a_face()], axis=1)
    np.savez(tmp_path / "a.npz", blendshape_names=np.array(names), blendshapes=values)
    np.testing.assert_allclose(load_motion([tmp_path / "a.npz"]).expression.numpy(), a_face(), atol=1e-6)


def test_pickled_dictionary_of_names_and_weights(tmp_path):
    face = a_face()
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"names": list(ARKIT_NAMES), "weights": face, "fps": 48}))
    motion = load_motion([tmp_path / "a.pkl"])
    assert motion.fps == 48
    np.testing.assert_allclose(motion.expression.numpy(), face, atol=1e-6)


def test_sound_goes_along(tmp_path):
    with wave.open(str(tmp_path / "a.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(2 * 8000 * 3 // 2))
    motion = load_motion([*write_livelink(tmp_path), tmp_path / "a.wav"])
    assert motion.audio == tmp_path / "a.wav"
    assert motion.fps == 60
