"""`Finding`: one line of what the doctor tells."""

from __future__ import annotations

from dataclasses import dataclass

WORKS, MISSING, UNUSABLE = "yes", "no", "unfit"


@dataclass(frozen=True)
class Finding:
    """One thing that a person may want to use."""

    section: str
    """``heads``, ``portraits``, ``computing``, ``speech``, ``video``, ``diffusion``, ``files``, ``disk``, ``hub`` or
    ``versions``."""
    name: str
    state: str
    """`WORKS`, `MISSING` or `UNUSABLE`."""
    detail: str
    """What is there, or what is wrong."""
    remedy: str = ""
    """How to get it; empty where it works."""
    where: str = ""
    """File or folder that it is about, for the eyes of whoever runs this place."""
    private: bool = False
    """Whether all of it is for those eyes alone."""

    def told(self, everything: bool = True) -> str:
        """Detail and remedy in one clause; without ``everything`` not `where`."""
        at = f" in {self.where}" if self.where and everything else ""
        return self.detail + at + (f"; to get it: {self.remedy}" if self.remedy else "")
