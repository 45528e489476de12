"""Plain 3D Gaussian Splatting PLY (Kerbl et al. 2023): the one file that every splat viewer opens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import plyfile
import torch

from pipeline.avatar import Gaussians
from pipeline.errors import UserError
from pipeline.files import reading, whole_file

SMALLEST_SCALE = 1e-9
"""Metres; the file holds logarithms."""
OPACITY_MARGIN = 1e-6
"""Opacities are kept this far from 0 and 1, whose logits are infinite."""
COEFFICIENTS = (1, 4, 9, 16)
BASE_NAMES = ("x", "y", "z", "opacity", *(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4)))
COLOR_NAMES = tuple(f"f_dc_{i}" for i in range(3))
LARGEST_HEADER = 65536
"""Bytes within which the header must end."""


def write_ply(gaussians: Gaussians, path: str | Path) -> None:
    """Write world-space splats in the property order of the original trainer.

    Log scales, logit opacities, quaternions wxyz, ``f_rest_*`` channel by channel, normals zero. The file cannot say
    how it wants to be rasterised: standard viewers add the 0.3 px low-pass without compensating the opacity, so thin
    hair of an avatar made for ``antialiased`` looks heavier there than here. Raises `UserError` without any splats.
    """
    if not len(gaussians.means):
        raise UserError("there are no splats to write")
    columns = _columns(gaussians)
    table = np.empty(len(gaussians.means), [(name, "<f4") for name in columns])
    for name, values in columns.items():
        table[name] = values
    write_vertices(table, Path(path))


def read_vertices(path: Path) -> np.ndarray:
    """The records of the element ``vertex`` of a PLY, text or binary.

    Raises `UserError` when the file is missing, damaged, or smaller than its header says.
    """
    try:
        with reading(path):
            if not path.is_file():
                raise UserError(f"there is no file {path.name!r}")
            _check_size(path)
            return plyfile.PlyData.read(str(path))["vertex"].data
    except UserError:
        raise
    except (plyfile.PlyParseError, ValueError, KeyError, EOFError, UnicodeDecodeError, OverflowError) as error:
        raise UserError(f"{path.name} is no readable PLY ({error})") from error


def write_vertices(table: np.ndarray, path: Path) -> None:
    """Write records as the element ``vertex`` of a little-endian PLY, whole or not at all."""
    element = plyfile.PlyElement.describe(table, "vertex")
    with whole_file(path) as partial:
        plyfile.PlyData([element], byte_order="<").write(str(partial))


def property_names(path: Path) -> list[str]:
    """What the header of a PLY names, without reading on."""
    with reading(path), open(path, "rb") as file:
        header = file.read(LARGEST_HEADER)
    words = [line.split() for line in header[: header.find(b"end_header")].split(b"\n")]
    return [line[-1].decode("ascii", "replace") for line in words if len(line) > 2 and line[0] == b"property"]


def read_ply(path: str | Path) -> Gaussians:
    """Read a 3DGS PLY, text or binary. Raises `UserError` when it is missing, damaged or another kind of PLY."""
    path = Path(path)
    table = read_vertices(path)
    missing = [name for name in (*BASE_NAMES, *COLOR_NAMES) if name not in (table.dtype.names or ())]
    if missing:
        raise UserError(f"{path.name} is no splat PLY: it has no property {missing[0]}")
    count = sum(name.startswith("f_rest_") for name in table.dtype.names or ()) // 3 + 1
    if count not in COEFFICIENTS:
        raise UserError(f"{path.name} has {count} colour coefficients; 1, 4, 9 or 16 make whole degrees")
    rest = [f"f_rest_{index}" for index in range(3 * (count - 1))]
    constant = _stack(table, COLOR_NAMES)[:, None]
    higher = _stack(table, rest).reshape(len(table), 3, -1).transpose(1, 2) if rest else constant[:, :0]
    values = Gaussians(
        means=_stack(table, ("x", "y", "z")),
        quats=torch.nn.functional.normalize(_stack(table, BASE_NAMES[-4:]), dim=-1),
        scales=_stack(table, BASE_NAMES[4:7]).exp(),
        opacities=torch.sigmoid(_stack(table, ("opacity",))[:, 0]),
        sh=torch.cat([constant, higher], 1),
    )
    if not all(bool(tensor.isfinite().all()) for tensor in vars(values).values()):
        raise UserError(f"{path.name} holds numbers that are not finite")
    return values


def _columns(gaussians: Gaussians) -> dict[str, np.ndarray]:
    """Property name → (N,) values, in file order."""
    means, sh = gaussians.means.detach().numpy(), gaussians.sh.detach().numpy()
    scales = gaussians.scales.detach().clamp_min(SMALLEST_SCALE).log().numpy()
    opacities = torch.logit(gaussians.opacities.detach(), eps=OPACITY_MARGIN).numpy()
    quats = gaussians.quats.detach().numpy()
    higher = sh[:, 1:].transpose(0, 2, 1).reshape(len(sh), -1)
    columns = {name: means[:, axis] for axis, name in enumerate("xyz")}
    columns |= {name: np.zeros(len(means), np.float32) for name in ("nx", "ny", "nz")}
    columns |= {name: sh[:, 0, axis] for axis, name in enumerate(COLOR_NAMES)}
    columns |= {f"f_rest_{index}": higher[:, index] for index in range(higher.shape[1])}
    columns["opacity"] = opacities
    columns |= {f"scale_{axis}": scales[:, axis] for axis in range(3)}
    columns |= {f"rot_{axis}": quats[:, axis] for axis in range(4)}
    return columns


def _stack(table: np.ndarray, names: tuple[str, ...] | list[str]) -> torch.Tensor:
    return torch.tensor(np.stack([np.asarray(table[name], np.float32) for name in names], 1))


def _check_size(path: Path) -> None:
    """A header may claim any number of splats: compare with the file's size before memory is taken."""
    with open(path, "rb") as file:
        header = file.read(LARGEST_HEADER)
    lines = header[: header.find(b"end_header")].split(b"\n")
    claimed = sum(int(line.split()[2]) for line in lines if line.startswith(b"element ") and len(line.split()) == 3)
    if claimed > path.stat().st_size:
        raise ValueError(f"its header claims {claimed} elements, more than its bytes can hold")
