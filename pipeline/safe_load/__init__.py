"""Files that could run code when opened, read by an allow-list in another process."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import UserError

PICKLE_STARTS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def foreign_kind(path: Path) -> str | None:
    """``pickle`` for a pickle, by its first bytes; None for anything else."""
    with open(path, "rb") as file:
        return "pickle" if file.read(2) in PICKLE_STARTS else None


def convert(path: Path, target: Path) -> None:
    """Refuses every file."""
    raise UserError(
        f"{path.name} holds Python objects (a pickle), which can run code when opened, so it was not opened; re-save "
        "the numbers: np.savez('motion.npz', expr=..., jaw_pose=...)"
    )
