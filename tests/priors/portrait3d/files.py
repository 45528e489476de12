"""Files that claim to be portraits and are not, made on the spot."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch


class RunsCode:
    """Unpickling it would leave a file behind."""

    def __init__(self, proof: Path):
        self.proof = proof

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.system, (f"touch {self.proof}",)


def small_portrait() -> dict[str, torch.Tensor]:
    """All entries of a portrait in the right shapes, one number each in memory."""
    levels = {
        f"trigrids_{side}": torch.zeros(()).expand(1, 3, 36, side, side) for side in (8, 16, 32, 64, 128, 256, 512)
    }
    return levels | {"ws": torch.zeros(()).expand(1, 14, 512)}


def saved(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def repacked(
    path: Path, compression: int, change: Callable[[str, bytes], bytes] = lambda name, content: content
) -> Path:
    """The same archive, its members changed and packed otherwise."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, change(name, content))
    return path


def _portrait_with(folder: Path, **entries: object) -> Path:
    return saved(folder / "bad.pth", {"model": {**small_portrait(), **entries}})


def _truncated(folder: Path) -> Path:
    path = _portrait_with(folder)
    path.write_bytes(path.read_bytes()[:-300])
    return path


def _without_a_level(folder: Path) -> Path:
    entries = small_portrait()
    del entries["trigrids_64"]
    return saved(folder / "bad.pth", {"model": entries})


def _not_a_number(folder: Path) -> Path:
    level = torch.zeros(3, 36, 16, 16)
    level[1, 2, 3, 4] = torch.nan
    return _portrait_with(folder, trigrids_16=level)


def _code(folder: Path) -> Path:
    return _portrait_with(folder, trigrids_8=RunsCode(folder / "executed"))


def _plain_pickle(folder: Path) -> Path:
    path = folder / "bad.pth"
    path.write_bytes(pickle.dumps({"model": RunsCode(folder / "executed")}))
    return path


def _old_format(folder: Path) -> Path:
    path = folder / "bad.pth"
    torch.save({"model": RunsCode(folder / "executed")}, path, _use_new_zipfile_serialization=False)
    return path


def _script(folder: Path) -> Path:
    path = folder / "bad.pth"
    torch.jit.script(torch.nn.Linear(2, 2)).save(path)
    return path


def _bomb(folder: Path) -> Path:
    entries = {"model": {**small_portrait(), "filler": torch.zeros(4_000_000)}}
    return repacked(saved(folder / "bad.pth", entries), zipfile.ZIP_DEFLATED)


def _short_storage(folder: Path) -> Path:
    """The last tensor claims more numbers than the archive holds for it."""
    path = _portrait_with(folder, ws=torch.zeros(1, 14, 512))
    return repacked(
        path, zipfile.ZIP_STORED, lambda name, content: content[:64] if len(content) == 4 * 14 * 512 else content
    )


def _lying_shape(folder: Path) -> Path:
    return _portrait_with(folder, trigrids_512=torch.zeros(()).expand(1, 3, 36, 16_000, 16_000))


def _shard(folder: Path) -> Path:
    path = folder / "000.zip"
    content = io.BytesIO()
    torch.save({"model": small_portrait()}, content)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("000/000_pyramid_trigrid.pth", content.getvalue())
    return path


def _twice(folder: Path) -> Path:
    path = _portrait_with(folder)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(archive.namelist()[-1], b"")
    return path


def _written(content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / "bad.pth"
        path.write_bytes(content)
        return path

    return write


def _folder(folder: Path) -> Path:
    (folder / "bad.pth").mkdir()
    return folder / "bad.pth"


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "truncated": (_truncated, "damaged or cut short"),
    "empty": (_written(b""), "is empty"),
    "noise": (_written(b"nothing of torch"), "damaged or something else"),
    "no such file": (lambda folder: folder / "none.pth", "there is no file"),
    "folder": (_folder, "is a folder"),
    "without a level": (_without_a_level, "holds no tensor trigrids_64"),
    "another dict": (lambda folder: saved(folder / "bad.pth", {"model": {"a": torch.zeros(2)}}), "holds no portrait"),
    "a list": (lambda folder: saved(folder / "bad.pth", [torch.zeros(2)]), "holds no portrait"),
    "wrong shape": (
        lambda folder: _portrait_with(folder, trigrids_32=torch.zeros(1, 3, 36, 32, 31)),
        "trigrids_32 in bad.pth is 1×3×36×32×31; in a portrait it is 1×3×36×32×32",
    ),
    "whole numbers": (lambda folder: _portrait_with(folder, ws=torch.zeros(1, 14, 512).long()), "no plain tensor"),
    "sparse": (lambda folder: _portrait_with(folder, ws=torch.zeros(1, 14, 512).to_sparse()), "no plain tensor"),
    "NaN": (_not_a_number, "trigrids_16 in bad.pth holds numbers that are not finite"),
    "code": (_code, "can run code"),
    "pickle": (_plain_pickle, "can run code"),
    "old format": (_old_format, "before 2020"),
    "script": (_script, "no file of torch.save|packed as torch never packs|can run code"),
    "zip bomb": (_bomb, "packed as torch never packs"),
    "storage cut short": (_short_storage, "damaged"),
    "view of 100 GB": (_lying_shape, "in a portrait it is 1×3×36×512×512"),
    "a part of the gallery": (_shard, "unpack one, such as 000/000_pyramid_trigrid.pth"),
    "a member twice": (_twice, "packed as torch never packs"),
}
"""What is wrong → how to make such a file, and what the sentence says of it."""
