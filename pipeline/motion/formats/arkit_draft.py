"""What every recording of facial actions with head angles becomes, once its columns are understood."""

from __future__ import annotations

from pipeline.motion.assumptions import Choices
from pipeline.motion.formats.draft import Draft, Numbers
from pipeline.motion.formats.head_turns import Turns
from pipeline.motion.formats.questions import ask_fps
from pipeline.motion.formats.timing import TimeLine, on_time_line


def arkit_draft(
    source: str,
    weights: Numbers,
    turns: Turns,
    line: TimeLine | None,
    usual_fps: float,
    choices: Choices,
    notes: list[str],
) -> Draft:
    """The clip of ``weights`` (T, 52) and ``turns``, on its time ``line``; ``usual_fps`` where that tells no rate."""
    draft = Draft(
        source=source,
        fps=ask_fps(choices, usual_fps, line.fps if line else None),
        basis="arkit52",
        radians=True,
        expression=weights,
        rotations=turns.rotations(weights, choices),
        notes=notes,
    )
    return on_time_line(draft, line)
