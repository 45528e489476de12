"""The releases of FLAME and SMPL-X: what each is called, under which licence it comes, and where to get it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

RESEARCH = "MPI licence, non-commercial research, no redistribution"


@dataclass(frozen=True)
class Release:
    """One published model."""

    kind: str
    """``flame`` or ``smplx``."""
    title: str
    download: str
    """The file to ask for, as its site names it."""
    site: str
    licence: str
    needs: str = ""
    """Why it cannot be used here; empty when it can."""

    @property
    def how_to_get(self) -> str:
        return f"register at {self.site} and download {self.download}"


NO_JAW = "it has no jaw joint to turn (the jaw is part of its expressions), so no clip here fits it; use flame2023.pkl"
RELEASES: dict[str, Release] = {
    "flame2023": Release("flame", "FLAME 2023", "FLAME2023.zip", "https://flame.is.tue.mpg.de", RESEARCH),
    "flame2020": Release("flame", "FLAME 2020", "FLAME2020.zip", "https://flame.is.tue.mpg.de", RESEARCH),
    "flame2023_open": Release(
        "flame", "FLAME 2023 Open", "FLAME2023Open.zip", "https://flame.is.tue.mpg.de", "CC-BY-4.0"
    ),
    "flame2019": Release("flame", "FLAME 2019", "FLAME2019.zip", "https://flame.is.tue.mpg.de", RESEARCH),
    "flame2023_no_jaw": Release(
        "flame", "FLAME 2023 without jaw", "FLAME2023.zip", "https://flame.is.tue.mpg.de", RESEARCH, NO_JAW
    ),
    "smplx2020": Release("smplx", "SMPL-X 2020", "SMPLX_NEUTRAL_2020.npz", "https://smpl-x.is.tue.mpg.de", RESEARCH),
    "smplx2019": Release("smplx", "SMPL-X 1.1", "models_smplx_v1_1.zip", "https://smpl-x.is.tue.mpg.de", RESEARCH),
}
"""By name; within a kind the first that is there is used."""
JAW = 2
LEAST_JAW_WEIGHT = 1e-3
"""A model whose jaw joint moves no vertex by more is the variant without a jaw."""


def recognise(kind: str, hints: str, facts: Mapping[str, float | bool]) -> tuple[str, str]:
    """Release and, where the file itself does not say it, a sentence on how it was told.

    ``hints`` are the names of the file, its archive and its folder; ``facts`` are those of `model_arrays.facts`.
    """
    words = hints.lower()
    if kind == "smplx":
        found = "smplx2020" if "2020" in words else "smplx2019"
        return found, f"taken for {RELEASES[found].title} by its name; the file does not say its release"
    if facts["jaw_weight"] < LEAST_JAW_WEIGHT:
        return "flame2023_no_jaw", ""
    if facts["open"]:
        return "flame2023_open", ""
    for pattern, release in ((r"2023[_ -]?open", "flame2023_open"), ("2023", "flame2023"), ("2019", "flame2019")):
        if re.search(pattern, words):
            return release, ""
    if "2020" in words:
        return "flame2020", ""
    return "flame2020", "taken for FLAME 2020, as neither the file nor its name says the release"
