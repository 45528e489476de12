"""Files of ARKit apps and single-image trackers, in their exact layouts."""

from __future__ import annotations

import csv
import json
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import scipy.io
import torch

from pipeline.motion.formats.arkit_columns import ORDERS
from pipeline.motion.motion import ARKIT_NAMES

APPLE = ORDERS["live_link_face"]
ANGLES = ("HeadYaw", "HeadPitch", "HeadRoll", "LeftEyeYaw", "LeftEyePitch", "LeftEyeRoll")
ALL_ANGLES = (*ANGLES, "RightEyeYaw", "RightEyePitch", "RightEyeRoll")
EYE_TURN = 0.5
"""Radians of an eye at an eyeLook action of 1."""


def a_face(frames: int = 90, seed: int = 0) -> np.ndarray:
    """(T, 52) in alphabetical order: a talking face that blinks and looks around, each action another curve."""
    random = np.random.default_rng(seed)
    times = np.arange(frames)[:, None] / 30
    rates, phases = random.uniform(0.3, 2.5, 52), random.uniform(0, 6, 52)
    weights = 0.2 * np.abs(np.sin(times * rates + phases))
    for name in ("eyeLookDown", "eyeLookUp", "eyeLookIn", "eyeLookOut"):
        for side in ("Left", "Right"):
            weights[:, ARKIT_NAMES.index(name + side)] = 0
    down, left = 0.5 * np.sin(times[:, 0] * 2), 0.4 * np.sin(times[:, 0] * 1.3 + 1)
    for action, value in (
        ("DownLeft", down), ("DownRight", down), ("UpLeft", -down), ("UpRight", -down),
        ("OutLeft", left), ("InRight", left), ("InLeft", -left), ("OutRight", -left),
    ):  # fmt: skip
        weights[:, ARKIT_NAMES.index(f"eyeLook{action}")] = value.clip(0)
    for side, late in (("Left", 0), ("Right", 1)):
        blink = np.zeros(frames)
        for start in range(12, frames - 8, 40):
            blink[start + late : start + late + 6] = (0.3, 0.8, 1.0, 0.9, 0.5, 0.2)
        weights[:, ARKIT_NAMES.index(f"eyeBlink{side}")] = blink
    return weights.round(6)


def some_angles(frames: int = 90) -> np.ndarray:
    """(T, 3) radians of a head's yaw, pitch, roll."""
    times = np.arange(frames)[:, None] / 30
    return 0.3 * np.sin(times * [1.0, 1.7, 2.3] + [0.2, 1.0, 2.0])


def eye_angles(face: np.ndarray) -> np.ndarray:
    """(T, 3) radians of the left eye's yaw, pitch, roll, as its actions say."""
    column = {name: face[:, number] for number, name in enumerate(ARKIT_NAMES)}
    yaw = column["eyeLookOutLeft"] - column["eyeLookInLeft"]
    pitch = column["eyeLookDownLeft"] - column["eyeLookUpLeft"]
    return EYE_TURN * np.stack([yaw, pitch, np.zeros(len(face))], axis=1)


def timecodes(frames: int, fps: int = 60, start: int = 0) -> list[str]:
    """``HH:MM:SS:FF.sub`` of consecutive frames."""
    codes = []
    for frame in range(start, start + frames):
        seconds, rest = divmod(frame, fps)
        codes.append(f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{rest:02d}.{frame % 7:03d}")
    return codes


def livelink_rows(
    face: np.ndarray, head: np.ndarray, codes: Sequence[str], signs: Sequence[float] = (1, 1, 1), scale: float = 1.0
) -> list[list[str]]:
    """Names and lines of a take; ``signs`` of yaw, pitch, roll and the unit ``scale`` hold for head and eyes."""
    eye = eye_angles(face)
    angles = np.concatenate([head, eye, eye], axis=1) * np.tile(signs, 3) * scale
    columns = [ARKIT_NAMES.index(name) for name in APPLE]
    rows = [["Timecode", "BlendShapeCount", *(name[0].upper() + name[1:] for name in APPLE), *ALL_ANGLES]]
    for code, weights, turn in zip(codes, face[:, columns], angles, strict=True):
        rows.append([code, "61", *(f"{value:.9f}" for value in weights), *(f"{value:.9f}" for value in turn)])
    return rows


def write_rows(path: Path, rows: Sequence[Sequence[object]], separator: str = ",", encoding: str = "utf-8") -> Path:
    with open(path, "w", newline="", encoding=encoding) as file:
        csv.writer(file, delimiter=separator).writerows(rows)
    return path


def write_livelink(folder: Path) -> list[Path]:
    rows = livelink_rows(a_face(), some_angles(), timecodes(90))
    return [write_rows(folder / "MySlate_4_iPhone.csv", rows)]


def write_table(folder: Path) -> list[Path]:
    """MediaPipe's scores with times in milliseconds, as scripts write them."""
    names = ORDERS["mediapipe"]
    rows: list[list[object]] = [["frame", "timestamp_ms", "_neutral", *names[1:]]]
    rows += [[k, round(k * 1000 / 25), 1e-6, *row[:-1]] for k, row in enumerate(a_face())]
    return [write_rows(folder / "blendshapes.csv", rows)]


def write_face_cap(folder: Path) -> list[Path]:
    """Face Cap's txt: names with _L and _R, degrees, milliseconds."""
    names = [name.replace("Left", "_L").replace("Right", "_R") if len(name) > 10 else name for name in ARKIT_NAMES]
    face, head = a_face(), np.degrees(some_angles())
    eye = np.degrees(eye_angles(face))
    rows: list[list[object]] = [["info", "Face Cap", "60"], ["bs", *names]]
    for k, weights in enumerate(face):
        yaw, pitch, roll = head[k]
        gaze = (eye[k, 1], eye[k, 0])
        rows.append(["k", round(k * 1000 / 60), 0.01, 0.02, -0.3, pitch, yaw, roll, *gaze, *gaze, *weights])
    return [write_rows(folder / "recording.txt", rows)]


def write_json(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def weight_frames(face: np.ndarray, fps: float, rotation: list[float]) -> list[dict[str, object]]:
    return [{"weights": row, "time": round(k / fps, 6), "rotation": rotation} for k, row in enumerate(face.tolist())]


def write_beat(folder: Path) -> list[Path]:
    """51 names, without tongueOut, at 60 frames per second."""
    frames = weight_frames(a_face()[:, :-1], 60, [])
    return [write_json(folder / "2_scott_0_1_1.json", {"names": ARKIT_NAMES[:-1], "frames": frames})]


def write_lam(folder: Path) -> list[Path]:
    """bsData.json of LAM_Audio2Expression."""
    document = {
        "names": ARKIT_NAMES,
        "metadata": {"fps": 30.0, "frame_count": 90, "blendshape_names": ARKIT_NAMES},
        "frames": weight_frames(a_face(), 30, []),
    }
    return [write_json(folder / "bsData.json", document)]


def write_audio2face(folder: Path) -> list[Path]:
    face = a_face()
    document = {
        "exportFps": 60.0, "trackPath": "hello.wav", "numPoses": 52, "numFrames": len(face),
        "facsNames": ARKIT_NAMES, "weightMat": face.tolist(), "joints": ["jaw"],
        "rotations": [[[0, 0, 0, 1]]] * len(face), "translations": [[[0, 0, 0]]] * len(face),
    }  # fmt: skip
    return [write_json(folder / "a2f_bsweight.json", document)]


def write_mediapipe(folder: Path) -> list[Path]:
    """Results of MediaPipe's Face Landmarker, frame by frame."""
    names = ("_neutral", *ARKIT_NAMES[:-1])
    frames = []
    for k, row in enumerate(a_face().tolist()):
        scores = [1e-6, *row[:-1]]
        categories = [
            {"index": n, "score": score, "categoryName": name, "displayName": ""}
            for n, (name, score) in enumerate(zip(names, scores, strict=True))
        ]
        frames.append({"timestamp": k * 40, "faceBlendshapes": [{"categories": categories, "headIndex": -1}]})
    return [write_json(folder / "mediapipe.json", frames)]


def write_named_arrays(folder: Path) -> list[Path]:
    np.savez(folder / "face.npz", names=np.array(ARKIT_NAMES), weights=a_face().astype(np.float32), fps=25)
    return [folder / "face.npz"]


def write_emotalk(folder: Path) -> list[Path]:
    np.save(folder / "result.npy", a_face().astype(np.float32))
    return [folder / "result.npy"]


def write_json_clip(folder: Path) -> list[Path]:
    document = {
        "motion_version": 1, "fps": 30, "basis": "arkit52", "expression": a_face(5).tolist(),
        "neck": some_angles(5).tolist(), "source": "by hand",
    }  # fmt: skip
    return [write_json(folder / "clip.json", document)]


def codes(frames: int = 12, width: int = 50) -> tuple[np.ndarray, np.ndarray]:
    """Expression (T, width) and pose (T, 6) as trackers find them, jaw opening included."""
    random = np.random.default_rng(3)
    times = np.arange(frames)[:, None] / 25
    expression = np.sin(times * random.uniform(0.5, 2, width) + random.uniform(0, 6, width))
    expression *= np.linspace(1.5, 0.4, width)
    pose = 0.1 * np.sin(times + np.arange(6))
    pose[:, 3] = 0.1 + 0.08 * np.sin(times[:, 0] * 9)
    return expression.astype(np.float32), pose.astype(np.float32)


def write_deca(folder: Path) -> list[Path]:
    """A .mat for every image, whose names sort wrongly as text."""
    paths = []
    for k, (exp, pose) in enumerate(zip(*codes(), strict=True)):
        paths.append(folder / f"frame{k}.mat")
        content = {"shape": np.zeros((1, 100)), "tex": np.zeros((1, 50)), "exp": exp[None], "pose": pose[None]}
        content |= {"cam": np.array([[9.0, 0.0, 0.0]]), "light": np.zeros((1, 9, 3)), "detail": np.zeros((1, 128))}
        scipy.io.savemat(paths[-1], {name: value.astype(np.float32) for name, value in content.items()})
    return paths


def write_deca_folder(folder: Path) -> list[Path]:
    """As DECA lays them out: a folder for every image."""
    target = folder / "results"
    for path in write_deca(folder):
        (target / path.stem).mkdir(parents=True)
        path.rename(target / path.stem / path.name)
    return [target]


def write_emica(folder: Path) -> list[Path]:
    exp, pose = codes(width=100)
    np.savez(
        folder / "emica.npz", expcode=exp, globalpose=pose[:, :3], jawpose=pose[:, 3:], shapecode=np.zeros((12, 300))
    )
    return [folder / "emica.npz"]


def write_emoca(folder: Path) -> list[Path]:
    target = folder / "processed" / "results" / "EMOCA_v2_lr_mse_20"
    for k, (exp, pose) in enumerate(zip(*codes(), strict=True)):
        frame = target / f"{k}_000"
        frame.mkdir(parents=True)
        for name, value in {"exp": exp, "pose": pose, "shape": np.zeros(100), "tex": np.zeros(50)}.items():
            np.save(frame / f"{name}.npy", value.astype(np.float32))
    return [folder / "processed"]


def smirk_output() -> dict[str, np.ndarray]:
    exp, pose = codes()
    lids = np.zeros((12, 2), np.float32)
    lids[4:7] = ((0.5, 0.4), (1.0, 0.9), (0.4, 0.5))
    jaw = np.concatenate([pose[:, 3:4].clip(0), 0.1 * pose[:, 4:]], axis=1)
    return {
        "pose_params": pose[:, :3], "cam": np.ones((12, 3), np.float32),
        "shape_params": np.zeros((12, 300), np.float32),
        "expression_params": exp, "eyelid_params": lids, "jaw_params": jaw,
    }  # fmt: skip


def write_smirk_npz(folder: Path) -> list[Path]:
    np.savez(folder / "smirk.npz", **smirk_output())  # type: ignore[arg-type]
    return [folder / "smirk.npz"]


def write_smirk_pt(folder: Path) -> list[Path]:
    torch.save({name: torch.from_numpy(value) for name, value in smirk_output().items()}, folder / "smirk.pt")
    return [folder / "smirk.pt"]


def write_smirk_pkl(folder: Path) -> list[Path]:
    """A list of the encoder's outputs, one dictionary a frame."""
    whole = smirk_output()
    frames = [{name: value[k : k + 1] for name, value in whole.items()} for k in range(12)]
    (folder / "smirk.pkl").write_bytes(pickle.dumps(frames))
    return [folder / "smirk.pkl"]


def write_artalk(folder: Path) -> list[Path]:
    exp, pose = codes(width=100)
    torch.save(torch.from_numpy(np.concatenate([exp, pose], axis=1)), folder / "hello_motions.pt")
    return [folder / "hello_motions.pt"]


LAYOUTS: dict[str, tuple[Callable[[Path], list[Path]], str]] = {
    "livelink": (write_livelink, "Live Link Face"),
    "table": (write_table, "table of ARKit actions"),
    "face_cap": (write_face_cap, "Face Cap"),
    "beat": (write_beat, "ARKit JSON"),
    "lam": (write_lam, "ARKit JSON"),
    "audio2face": (write_audio2face, "Audio2Face"),
    "mediapipe": (write_mediapipe, "named weights (MediaPipe)"),
    "named_arrays": (write_named_arrays, "named ARKit weights"),
    "emotalk": (write_emotalk, "ARKit weights without names"),
    "json_clip": (write_json_clip, "motion clip of this project as JSON"),
    "deca": (write_deca, "DECA, EMICA codes"),
    "deca_folder": (write_deca_folder, "DECA, EMICA codes"),
    "emica": (write_emica, "DECA, EMICA codes"),
    "emoca": (write_emoca, "EMOCA"),
    "smirk_npz": (write_smirk_npz, "SMIRK"),
    "smirk_pt": (write_smirk_pt, "SMIRK"),
    "smirk_pkl": (write_smirk_pkl, "SMIRK"),
    "artalk": (write_artalk, "ARTalk"),
}
"""Writer of the files into a folder, and the name of the format that must read them."""
