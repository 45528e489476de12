"""What a recording without words tells about the mouth: roughly open, round, closed or still.

PocketSphinx names the sounds that it hears without knowing any word; about half of the names are wrong, but vowels,
closures and pauses are mostly where it hears them, so only these classes are used.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.motion.speech.sound_file import FRAME_SECONDS, RATE, Samples
from pipeline.motion.visemes import CLASS_OF_SOUND, Sound

STAND_IN = {
    "AA": "AA", "AE": "AA", "AH": "AH", "EH": "AH", "ER": "AH", "EY": "EH", "AY": "AA", "AW": "AA", "IH": "IH",
    "IY": "IH", "AO": "AO", "OW": "AO", "OY": "AO", "UH": "UH", "UW": "UH", "W": "UH",
    "P": "M", "B": "M", "M": "M", "F": "F", "V": "F",
}  # fmt: skip
"""Sound heard → the plainest of its class; a consonant that is not here moves the lips no further than a T."""
OTHER = "T"
PAUSE = "-"


def rough_sounds(samples: Samples) -> list[Sound]:
    """Coarse sounds and pauses of samples (N,) at `RATE`, in order."""
    from pocketsphinx import Decoder, get_model_path

    phones = str(Path(get_model_path()) / "en-us" / "en-us-phone.lm.bin")
    decoder = Decoder(
        samprate=RATE, allphone=phones, lm=None, dict=None, lw=2.0, beam=1e-20, pbeam=1e-20, loglevel="FATAL"
    )
    decoder.start_utt()
    decoder.process_raw(samples.tobytes(), full_utt=True)
    decoder.end_utt()
    return [
        Sound(
            _class_of(heard.word),
            heard.start_frame * FRAME_SECONDS,
            (heard.end_frame + 1 - heard.start_frame) * FRAME_SECONDS,
        )
        for heard in decoder.seg() or ()
    ]


def _class_of(heard: str) -> str:
    if heard in STAND_IN:
        return STAND_IN[heard]
    return OTHER if heard in CLASS_OF_SOUND else PAUSE
