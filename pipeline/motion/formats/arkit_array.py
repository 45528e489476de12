"""A bare array (T, 52) or (T, 51) of ARKit weights whose columns nobody named.

Tools disagree on the order: alphabetical (EmoTalk, BEAT, LAM), MediaPipe's (alphabetical after a neutral column,
without tongueOut), Live Link Face's and Apple's documentation. Blinks tell them apart: both lids move together and in
short peaks, so in the right order the two columns called eyeBlink are alike and spiky.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.errors import MotionError
from pipeline.motion.assumptions import Choices
from pipeline.motion.formats.arkit_columns import ORDERS, actions_from
from pipeline.motion.formats.array_tools import bare_name, bare_shape, read_numbers
from pipeline.motion.formats.arrays import ArrayFile
from pipeline.motion.formats.draft import Draft, Numbers
from pipeline.motion.formats.questions import ask_fps
from pipeline.motion.formats.sources import Source

NAME = "ARKit weights without names"
EXPECTS = "one .npy with an array (frames, 52) or (frames, 51)"
USES = "52 actions, in the order that the blinks tell"
HOW_TO_EXPORT = "numpy.save of the weights, e.g. EmoTalk's result or MediaPipe's scores; the order is asked for"
DEFAULT_FPS = 30.0
USUAL = "alphabetical"
COLUMNS = 52
NEUTRAL_AT_MOST = 0.01
"""MediaPipe's neutral score stays far below this; an eyebrow does not."""
LEAST_SCORE, LEAST_MARGIN = 0.1, 1.5
"""A blink's score from which it is believed, and how many times it must exceed the others'."""
BLINKS = ("eyeBlinkLeft", "eyeBlinkRight")


def sniff(sources: Sequence[Source]) -> bool:
    """Whether this is one array as wide as there are actions."""
    if len(sources) != 1:
        return False
    shape = bare_shape(sources[0])
    return shape is not None and _flat(shape)[1:] in ((COLUMNS,), (COLUMNS - 1,))


def read(sources: Sequence[Source], choices: Choices) -> Draft:
    """The clip. Raises `MotionError` for what is no array of numbers."""
    (file,) = sources
    assert isinstance(file, ArrayFile)
    with np.errstate(invalid="ignore"):  # of a signalling NaN
        values = read_numbers(file, bare_name(file) or "").astype(np.float64)
    weights, notes = ordered_weights(values.reshape(_flat(values.shape)), file.name, choices)
    return Draft(source=file.name, fps=ask_fps(choices, DEFAULT_FPS), basis="arkit52", expression=weights, notes=notes)


def ordered_weights(values: Numbers, name: str, choices: Choices) -> tuple[Numbers, list[str]]:
    """Columns (T, 51 | 52) without names → (T, 52) in the order of `ARKIT_NAMES` (``order``), and notes.

    Raises `MotionError` when there is no finite number.
    """
    if not np.isfinite(values).any():
        raise MotionError(f"{name} holds no finite number")
    orders = _orders(values.shape[1])
    guess, sure = guessed_order(values)
    why = "judged by its blinks" if sure else "as nothing in it tells; choose another if the face moves wrongly"
    order = guess.replace("_", " ")
    told = f"The file's {values.shape[1]} columns have no names; they were read in {order} order, {why}."
    names = orders[choices.option("order", guess, tuple(orders), told)]
    return actions_from(values, names, name)


def guessed_order(values: Numbers) -> tuple[str, bool]:
    """The order of columns (T, 51 | 52) under which the lids blink best, and whether that is more than a guess."""
    orders = _orders(values.shape[1])
    clean = np.nan_to_num(values, posinf=0.0, neginf=0.0)
    scores = {order: _blink_score(clean[:, [names.index(name) for name in BLINKS]]) for order, names in orders.items()}
    if "mediapipe" in scores and np.abs(clean[:, 0]).max() > NEUTRAL_AT_MOST * max(1.0, np.abs(clean).max()):
        scores["mediapipe"] = 0.0
    best = max(scores, key=lambda order: scores[order])
    others = [order for order in orders if _blink_columns(orders[order]) != _blink_columns(orders[best])]
    rest = max(scores[order] for order in others)
    sure = scores[best] > LEAST_SCORE and scores[best] > LEAST_MARGIN * rest
    return (best, True) if sure else (USUAL, False)


def _blink_score(lids: Numbers) -> float:
    """How alike two columns (T, 2) are, times how far their peaks stand above their usual value."""
    if len(lids) < 3 or not lids.std(0).all():
        return 0.0
    scale = max(1.0, float(np.abs(lids).max()))
    lids = lids / scale
    height = np.percentile(lids, 99, axis=0) - np.median(lids, axis=0)
    alike = float(np.atleast_2d(np.corrcoef(lids.T))[0, 1])
    return max(0.0, alike) ** 2 * float(height.min())


def _orders(width: int) -> dict[str, tuple[str, ...]]:
    """Orders that have this many columns; without tongueOut MediaPipe's is the alphabetical one."""
    if width == COLUMNS:
        return dict(ORDERS)
    return {name: names[:-1] for name, names in ORDERS.items() if name != "mediapipe"}


def _blink_columns(names: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(names.index(name) for name in BLINKS)


def _flat(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Without leading axes of length 1, which networks leave."""
    while len(shape) > 2 and shape[0] == 1:
        shape = shape[1:]
    return shape
