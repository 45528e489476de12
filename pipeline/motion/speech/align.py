"""When each sound of a transcript is said: forced alignment by PocketSphinx and its model of American English.

Two passes over a stretch of sound: words first, then the sounds within them. The work grows with the square of the
stretch, so a long recording is aligned window by window: each is offered more words than it should hold, which crowds
the surplus at its end, and only the words of its first part are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import MotionError
from pipeline.motion.speech.sound_file import FRAME_SECONDS, RATE, Samples, loudness
from pipeline.motion.speech.transcript import is_english, pronunciations

SINGLE_WINDOW, WINDOW = 25.0, 20.0
"""Seconds up to which a recording is aligned at once, and of a window of a longer one."""
KEPT_SHARE = 0.6
"""Of a window."""
SURPLUS = 1.3
"""How many more words a window is offered than its share of the speech."""
SURPLUS_WORDS = 4
SHORTEST_FRAMES = 3
"""10 ms frames that the model gives a sound at least."""
SCORE_SCALE, SHORT_SCALE, MOST_DOUBT = -70.0, 0.8, 1.2
"""A transcript is doubtful when score / −70 + share of shortest sounds / 0.8 is above 1.2. Measured: human speech with
its own words 0.1 to 0.4, synthetic voices of several accents 0.5 to 1.1, other words of a like length 1.2 to 3."""
MOST_UNSAID = 0.35
"""Share of the speech that may fall outside all words; the right words leave out 0.15 of human speech at most."""
QUIET_BELOW = 30.0
"""Decibels under the loudest 10 ms: a pause."""
SILENCE = ("SIL", "<sil>", "+SPN+", "+NSN+")


@dataclass(frozen=True)
class AlignedSound:
    """One sound of a word, in the recording."""

    name: str
    """ARPABET."""
    start: float
    """Seconds."""
    length: float
    score: float
    """Logarithmic acoustic likelihood of its frames together."""


@dataclass(frozen=True)
class Alignment:
    """The sounds of a recording in order; pauses are the gaps between them."""

    sounds: tuple[AlignedSound, ...]
    unsaid: float
    """Share of the speech in the recording that falls outside all words."""

    @property
    def score(self) -> float:
        """Mean of a 10 ms frame."""
        return sum(sound.score for sound in self.sounds) / max(1, sum(map(_frames, self.sounds)))

    @property
    def short_share(self) -> float:
        """Share of sounds at the shortest length that the model allows."""
        return sum(_frames(sound) <= SHORTEST_FRAMES for sound in self.sounds) / max(1, len(self.sounds))

    @property
    def doubt(self) -> float:
        """0 for a perfect fit; about 1 where words and speech begin to differ."""
        return self.score / SCORE_SCALE + self.short_share / SHORT_SCALE

    @property
    def doubtful(self) -> bool:
        """Whether something else seems to be said."""
        return self.doubt > MOST_DOUBT or self.unsaid > MOST_UNSAID


def align(samples: Samples, words: Sequence[str], language: str = "en") -> Alignment:
    """Align ``words`` (of `words_of`) with samples (N,) at `RATE`.

    English comes from the aligner's dictionary, other words and languages from eSpeak NG, whose sounds are replaced by
    the nearest English ones. Raises `MotionError` where more is written than can be said in that time.
    """
    decoder = _decoder()
    spelled = _teach(decoder, words, language)
    if not spelled:
        raise MotionError("no word of the transcript can be said; type what is said in the recording")
    active = speech_frames(samples)
    active_so_far = np.cumsum(active, dtype=np.int64)
    sounds: list[AlignedSound] = []
    first_word, start = 0, 0.0
    end = len(samples) / RATE
    while first_word < len(spelled):
        last = end - start <= SINGLE_WINDOW
        stop = end if last else start + WINDOW
        offered = spelled[first_word:] if last else _offer(spelled[first_word:], active_so_far, start, stop)
        found = _align_window(decoder, samples[round(start * RATE) : round(stop * RATE)], offered)
        kept = found if last else _kept(found)
        sounds += [
            AlignedSound(sound.name, sound.start + start, sound.length, sound.score) for word in kept for sound in word
        ]
        first_word += len(kept)
        start += kept[-1][-1].start + kept[-1][-1].length if kept[-1] else 0.0
    return Alignment(tuple(sounds), _unsaid(sounds, active))


def speech_frames(samples: Samples) -> NDArray[np.bool_]:
    """Which 10 ms frames (F,) are loud enough to be speech."""
    decibels = loudness(samples)
    return decibels > decibels.max() - QUIET_BELOW


def _unsaid(sounds: Sequence[AlignedSound], active: NDArray[np.bool_]) -> float:
    outside = active.copy()
    for sound in sounds:
        outside[round(sound.start / FRAME_SECONDS) : round((sound.start + sound.length) / FRAME_SECONDS)] = False
    return float(outside.sum() / max(1, active.sum()))


def _decoder() -> Any:
    from pocketsphinx import Decoder

    # beams of 0 never lose the path; narrower ones did, even on clean speech
    return Decoder(samprate=RATE, lm=None, bestpath=False, beam=0.0, wbeam=0.0, pbeam=0.0, loglevel="FATAL")


def _teach(decoder: Any, words: Sequence[str], language: str) -> list[str]:
    """The words under the names that the decoder knows them by; new ones are added to its dictionary."""
    if is_english(language):
        new = [word for word in words if decoder.lookup_word(word) is None]
        names = {word: word for word in words}
    else:
        new, names = list(words), {word: f"{word}~{language}" for word in words}
    said = pronunciations(new, language) if new else {}
    for word, sounds in said.items():
        decoder.add_word(names[word], " ".join(sounds), True)
    silent = set(new) - said.keys()
    return [names[word] for word in words if word not in silent]


def _offer(words: list[str], active_so_far: NDArray[np.int64], start: float, stop: float) -> list[str]:
    """As many of the words as the window should hold, and some more."""
    here, there = (active_so_far[min(round(at / FRAME_SECONDS), len(active_so_far) - 1)] for at in (start, stop))
    share = (there - here) / max(1, active_so_far[-1] - here)
    return words[: max(1, round(len(words) * share * SURPLUS) + SURPLUS_WORDS)]


def _kept(words: list[list[AlignedSound]]) -> list[list[AlignedSound]]:
    """The words that end in the first part of a window, at least one."""
    count = sum(word[-1].start + word[-1].length <= WINDOW * KEPT_SHARE for word in words)
    return words[: max(1, count)]


def _align_window(decoder: Any, samples: Samples, words: list[str]) -> list[list[AlignedSound]]:
    """The sounds of each word, in seconds from the beginning of the window."""
    data = samples.tobytes()
    try:
        decoder.set_align_text(" ".join(words))
        _decode(decoder, data)
        decoder.set_alignment()
        _decode(decoder, data)
        alignment = decoder.get_alignment()
    except RuntimeError:
        alignment = None
    if alignment is None:
        raise MotionError(
            f"the transcript's {len(words)} words do not fit into {len(samples) / RATE:.1f} s of sound; "
            "type what is said in the recording"
        )
    return [
        [
            AlignedSound(part.name, part.start * FRAME_SECONDS, part.duration * FRAME_SECONDS, part.score)
            for part in word
        ]
        for word in alignment
        if word.name not in SILENCE
    ]


def _decode(decoder: Any, data: bytes) -> None:
    decoder.start_utt()
    decoder.process_raw(data, full_utt=True)
    decoder.end_utt()


def _frames(sound: AlignedSound) -> int:
    return round(sound.length / FRAME_SECONDS)
