"""One measured figure, and how a table of them is printed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A measurement beside its budget and beside a peer measured in the same run."""

    name: str
    value: float
    unit: str
    budget: float
    peer: str = ""
    """Who else was measured, by name and release."""
    peer_value: float | None = None
    """The peer's figure in the same unit."""
    more_is_better: bool = False

    @property
    def within_budget(self) -> bool:
        return self.value >= self.budget if self.more_is_better else self.value <= self.budget

    @property
    def ratio(self) -> float | None:
        """How many times better than the peer, above 1 where ours is better."""
        if not self.peer_value:
            return None
        return self.value / self.peer_value if self.more_is_better else self.peer_value / self.value


def table(figures: Iterable[Figure]) -> str:
    """The figures as a Markdown table."""
    rows = ["| what | measured | budget | peer | better than the peer |", "|---|---|---|---|---|"]
    for figure in figures:
        sign = "≥" if figure.more_is_better else "≤"
        mark = "" if figure.within_budget else " **over**"
        peer = f"{figure.peer}: {figure.peer_value:.3g} {figure.unit}" if figure.peer_value else figure.peer
        ratio = f"{figure.ratio:.1f}×" if figure.ratio else ""
        measured = f"{figure.value:.3g} {figure.unit}{mark}"
        rows.append(f"| {figure.name} | {measured} | {sign} {figure.budget:g} {figure.unit} | {peer} | {ratio} |")
    return "\n".join(rows)


def best_ms(call: Callable[[], object], repeats: int = 20, warm_up: int = 2) -> float:
    """Least milliseconds of ``repeats`` calls: the figure that other programs on the machine disturb least."""
    for _ in range(warm_up):
        call()
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - started)
    return best * 1e3
