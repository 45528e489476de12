"""FLAME and SMPL-X motion files in the exact layouts of their tools, with seeded numbers.

Each ``write_…`` makes a file or a folder at ``path`` from `Track`, whose values a test can compare with what was read.
"""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

FLAME_VERTICES = 5143
"""With the teeth of VHAP."""


@dataclass(frozen=True)
class Track:
    """A smooth clip such as trackers make: coefficients that decay from 1.2 to 0.3, small rotations."""

    frames: int = 40
    seed: int = 0

    def _smooth(self, width: int, size: Any, number: int) -> np.ndarray:
        random = np.random.default_rng((self.seed, number))
        phase, speed = random.uniform(0, 2 * np.pi, width), random.uniform(0.05, 0.2, width)
        return (np.sin(phase + speed * np.arange(self.frames)[:, None]) * size).astype(np.float32)

    @cached_property
    def expr(self) -> np.ndarray:
        """(T, 100)."""
        return self._smooth(100, np.linspace(1.2, 0.3, 100), 0)

    @cached_property
    def rotation(self) -> np.ndarray:
        """(T, 3), as are neck, jaw and translation."""
        return self._smooth(3, 0.15, 1)

    @cached_property
    def neck(self) -> np.ndarray:
        return self._smooth(3, 0.1, 2)

    @cached_property
    def jaw(self) -> np.ndarray:
        return np.abs(self._smooth(3, (0.2, 0.01, 0.01), 3))

    @cached_property
    def eyes(self) -> np.ndarray:
        """(T, 6)."""
        return self._smooth(6, 0.1, 4)

    @cached_property
    def translation(self) -> np.ndarray:
        return self._smooth(3, 0.02, 5)

    @cached_property
    def body(self) -> np.ndarray:
        """(T, 63): the 21 joints without the root; neck and head are `rotation` and `neck`."""
        body = self._smooth(63, 0.3, 6)
        body[:, 33:36], body[:, 42:45] = self.rotation, self.neck
        return body

    @cached_property
    def hands(self) -> np.ndarray:
        """(T, 90)."""
        return self._smooth(90, 0.3, 7)

    @cached_property
    def poses(self) -> np.ndarray:
        """(T, 165) in SMPL-X's order."""
        root = np.tile(np.float32([1.5, 0.1, 0.0]), (self.frames, 1))
        return np.concatenate([root, self.body, self.jaw, self.eyes, self.hands], 1)

    @property
    def flame(self) -> dict[str, np.ndarray]:
        """By VHAP's names."""
        return {
            "expr": self.expr, "rotation": self.rotation, "neck_pose": self.neck, "jaw_pose": self.jaw,
            "eyes_pose": self.eyes, "translation": self.translation,
        }  # fmt: skip


def write_vhap(path: Path, track: Track, **changes: np.ndarray) -> Path:
    """VHAP's `tracked_flame_params.npz`."""
    arrays = track.flame | {
        "shape": np.zeros(300, np.float32),
        "timestep_id": np.arange(track.frames),
        "n_processed_frames": np.array(track.frames),
        "focal_length": np.ones(1, np.float32),
        "lights": np.zeros((9, 3), np.float32),
        "static_offset": np.zeros((1, FLAME_VERTICES, 3), np.float32),
        "tex_extra": np.zeros((3, 64, 64), np.float32),
    }
    np.savez(path, **(arrays | changes))
    return path


def write_gaussian_avatars(path: Path, track: Track, names: Mapping[str, str] | None = None, **changes: Any) -> Path:
    """GaussianAvatars' `flame_param.npz`; ``names`` respells keys, a change to None takes one away."""
    arrays = track.flame | {
        "shape": np.zeros(300, np.float32),
        "static_offset": np.zeros((FLAME_VERTICES, 3), np.float32),
        "dynamic_offset": np.zeros((track.frames, FLAME_VERTICES, 3), np.float32),
    }
    arrays = {(names or {}).get(name, name): value for name, value in (arrays | changes).items() if value is not None}
    np.savez_compressed(path, **arrays)
    return path


def write_vhap_folder(path: Path, track: Track, cameras: int = 3, steps: list[int] | None = None) -> Path:
    """VHAP's export: one file a frame, listed once for each camera; ``steps`` are the time steps of the frames."""
    (path / "flame_param").mkdir(parents=True)
    (path / "images").mkdir()
    (path / "images" / "00000_00.png").write_bytes(b"\x89PNG")
    canonical = {"jaw_pose": np.array([[0.3, 0, 0]]), "expr": np.zeros((1, 100)), "shape": np.zeros(300)}
    np.savez(path / "canonical_flame_param.npz", **canonical)
    frames = []
    for number, step in enumerate(steps or range(track.frames)):
        name = f"flame_param/{step:05d}.npz"
        arrays = {key: value[number : number + 1] for key, value in track.flame.items()}
        np.savez(path / name, **arrays, shape=np.zeros(300), static_offset=np.zeros((1, 9, 3)))
        frames += [
            {
                "flame_param_path": name,
                "timestep_index": step,
                "camera_index": camera,
                "file_path": "images/00000_00.png",
            }
            for camera in range(cameras)
        ]
    (path / "transforms.json").write_text(json.dumps({"frames": frames, "timestep_indices": [], "camera_indices": []}))
    return path


def zipped(folder: Path, path: Path, top: str = "") -> Path:
    """The folder as a zip, its files below ``top``."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, f"{top}{file.relative_to(folder).as_posix()}")
    return path


def write_nersemble(path: Path, track: Track, step: int = 1, **changes: np.ndarray) -> Path:
    """`flame2023_tracking_v2.npz`, of every ``step``-th frame of the capture."""
    arrays = {
        "shape": np.zeros((1, 300), np.float32), "expression": track.expr, "rotation": track.rotation,
        "rotation_matrices": np.tile(np.eye(3, dtype=np.float32), (track.frames, 1, 1)),
        "translation": track.translation, "jaw": track.jaw, "frames": step * np.arange(track.frames),
        "scale": np.ones((1, 1), np.float32), "neck": track.neck, "eyes": track.eyes,
    }  # fmt: skip
    np.savez(path, **(arrays | changes))
    return path


def talkshow_array(track: Track) -> np.ndarray:
    """(T, 265) in TalkSHOW's own order."""
    camera = np.tile(np.float32([3.0747, -0.0158, -0.0152]), (track.frames, 1))
    still_eyes = np.zeros((track.frames, 6), np.float32)
    return np.concatenate([track.jaw, still_eyes, camera, track.body, track.hands, track.expr], 1)


def write_talkshow(path: Path, track: Track) -> Path:
    np.save(path, talkshow_array(track))
    return path


def write_show(path: Path, track: Track) -> Path:
    """SHOW's `all.pkl`: arrays, and losses as torch tensors."""
    frames = track.frames
    content = {
        "losses_to_log": {"jaw_reg": torch.tensor(41.2), "all_loss": torch.tensor(1.5, dtype=torch.float64)},
        "width": 1280, "height": 720, "center": [640.0, 360.0], "batch_size": frames,
        "camera_transl": np.zeros(3, np.float32), "focal_length": np.array(5000.0, np.float32),
        "expression": track.expr, "jaw_pose": track.jaw, "leye_pose": track.eyes[:, :3],
        "reye_pose": track.eyes[:, 3:], "global_orient": np.full((frames, 1, 3), 1.7, np.float32),
        "transl": track.translation, "betas": np.zeros((1, 300), np.float32),
        "left_hand_pose": track.hands[:, :12], "right_hand_pose": track.hands[:, 12:24],
        "body_pose_axis": track.body,
    }  # fmt: skip
    path.write_bytes(pickle.dumps(content, protocol=2))
    return path


def write_emage(path: Path, track: Track, **changes: np.ndarray) -> Path:
    """BEAT2's `.npz`."""
    arrays = {
        "betas": np.zeros(300, np.float32), "poses": track.poses, "expressions": track.expr,
        "trans": track.translation, "model": np.array("smplx2020"), "gender": np.array("neutral"),
        "mocap_frame_rate": np.array(30),
    }  # fmt: skip
    np.savez(path, **(arrays | changes))
    return path


def write_amass(path: Path, track: Track, split: bool = True) -> Path:
    """AMASS' `*_stageii.npz`."""
    arrays = {
        "gender": np.array("male"), "surface_model_type": np.array("smplx"), "mocap_frame_rate": np.array(120.0),
        "trans": track.translation, "poses": track.poses.astype(np.float64), "betas": np.zeros(16),
    }  # fmt: skip
    if split:
        arrays |= {
            "root_orient": track.poses[:, :3], "pose_body": track.body, "pose_hand": track.hands,
            "pose_jaw": track.jaw, "pose_eye": track.eyes,
        }  # fmt: skip
    np.savez(path, **arrays)
    return path


def write_amass_smplh(path: Path, track: Track) -> Path:
    """An older file of AMASS: 52 joints."""
    poses = np.concatenate([track.poses[:, :66], track.hands], 1)
    np.savez(
        path, poses=poses, trans=track.translation, betas=np.zeros(16), dmpls=np.zeros((track.frames, 8)),
        gender=np.array("female"), mocap_framerate=np.array(60.0),
    )  # fmt: skip
    return path


def write_expression(path: Path, track: Track) -> Path:
    """AnimPortrait3D's expression file."""
    np.save(path, track.expr)
    return path


def write_pose(path: Path, track: Track) -> Path:
    """AnimPortrait3D's pose file."""
    np.save(path, np.concatenate([track.rotation, track.neck, track.jaw, track.eyes], 1))
    return path


def write_vhap_zip(path: Path, track: Track) -> Path:
    return zipped(write_vhap_folder(path.with_suffix(""), track), path, "export/")


LAYOUTS: dict[str, tuple[str, Callable[[Path, Track], Path]]] = {
    "vhap.npz": ("VHAP tracking", write_vhap),
    "vhap_folder": ("VHAP export folder", write_vhap_folder),
    "vhap_zip.zip": ("VHAP export folder", write_vhap_zip),
    "flame_param.npz": ("GaussianAvatars flame_param", write_gaussian_avatars),
    "nersemble.npz": ("NeRSemble tracking", write_nersemble),
    "talkshow.npy": ("TalkSHOW", write_talkshow),
    "show.pkl": ("SHOW", write_show),
    "emage.npz": ("EMAGE / BEAT2", write_emage),
    "amass_stageii.npz": ("AMASS", write_amass),
    "amass_smplh.npz": ("AMASS", write_amass_smplh),
    "exp.npy": ("AnimPortrait3D expression and pose", write_expression),
    "pose.npy": ("AnimPortrait3D expression and pose", write_pose),
}
"""File name → name of the format that reads it, and what writes it."""
