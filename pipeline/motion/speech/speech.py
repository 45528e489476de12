"""From sound or text to a `Motion`."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from pipeline.motion.motion import Motion
from pipeline.motion.speech.align import MOST_DOUBT, Alignment, align
from pipeline.motion.speech.espeak import Phoneme, language_name, plain_text, speak
from pipeline.motion.speech.ipa import sounds_of
from pipeline.motion.speech.performance import perform
from pipeline.motion.speech.rough import rough_sounds
from pipeline.motion.speech.sound_file import RATE, Samples, loudness, read_sound
from pipeline.motion.speech.transcript import is_english, words_of
from pipeline.motion.visemes import Sound

LEAD_IN, LEAD_OUT = 0.35, 0.7
"""Seconds of silence that let a spoken text begin and end at rest."""
FIRST_SHARE = 0.55
"""Of a phoneme of two sounds, such as a diphthong, the first takes this much of the time."""
BEFORE_BURST = 0.045
"""Seconds by which lips close before eSpeak NG's time of a P, which is that of its burst."""
NO_TRANSCRIPT = (
    "Without a transcript the lips follow loudness and coarse sounds only, which is rough; type what is said."
)


def say(text: str, language: str = "en", *, folder: Path) -> Motion:
    """Speak ``text`` with eSpeak NG, in one of `languages`, and move the face in time with its phonemes.

    The sound is written to ``folder`` as a WAV file named after text and language, and is the clip's audio.
    Raises `MotionError` where eSpeak NG is missing or does not know the language, and for an empty or too long text.
    """
    plain = plain_text(text)
    path = folder / f"speech-{_digest(language.encode(), plain.encode())[:16]}.wav"
    utterance = speak(plain, language, path, LEAD_IN, LEAD_OUT)
    sounds = [sound for phoneme in utterance.phonemes for sound in _sounds(phoneme)]
    motion = perform(sounds, loudness(read_sound(path)), utterance.seconds, _seed(plain.encode()), f"“{plain}”")
    voice = f"Spoken by eSpeak NG, {language_name(language)}, whose phoneme times move the lips."
    return replace(motion, audio=path, format="spoken text", notes=(voice,))


def speech_motion(audio: Path, transcript: str | None = None, language: str = "en") -> Motion:
    """Move the face in time with a recording, which becomes the clip's audio.

    With a ``transcript`` its sounds are aligned with the recording, by PocketSphinx's model of English; words of
    another ``language`` are pronounced by eSpeak NG. Without one, or where the transcript does not fit, loudness and
    coarse sounds serve, and a note says so. Raises `MotionError` for a file that is no sound, is silent or is too long,
    and for a transcript without words or with more of them than the time allows.
    """
    samples = read_sound(audio)
    if transcript is None or not transcript.strip():
        sounds, note = rough_sounds(samples), NO_TRANSCRIPT
    else:
        sounds, note = _aligned(samples, transcript, language)
    seconds = len(samples) / RATE + LEAD_OUT
    motion = perform(sounds, loudness(samples), seconds, _seed(samples.tobytes()), audio.name)
    return replace(motion, audio=audio, format="speech", notes=(note,))


def _aligned(samples: Samples, transcript: str, language: str) -> tuple[list[Sound], str]:
    """The sounds of the transcript, or rough ones where it is not what is said, and a note on which."""
    words = words_of(transcript, language)
    found = align(samples, words, language)
    if found.doubtful:
        return rough_sounds(samples), _doubt(found)
    fit = f"doubt {found.doubt:.1f}; a clear recording has less than 0.5"
    note = f"{len(words)} words were aligned with the recording ({fit})."
    if not is_english(language):
        note += " The aligner knows English only: its nearest sounds stand in for those of the language."
    return [Sound(sound.name, sound.start, sound.length) for sound in found.sounds], note


def _doubt(found: Alignment) -> str:
    told = f"{found.unsaid:.0%} of the speech is left over"
    if found.doubt > MOST_DOUBT:
        told = f"doubt {found.doubt:.2f}, at most {MOST_DOUBT} would do"
    rest = "check it. Until then the lips follow loudness and coarse sounds only, which is rough."
    return f"The transcript does not seem to be what is said ({told}); {rest}"


def _sounds(phoneme: Phoneme) -> list[Sound]:
    """What the lips do for one phoneme: a diphthong or an affricate is two sounds."""
    names = sounds_of(phoneme.ipa)
    start, length = phoneme.start, phoneme.length
    sounds = []
    for left in range(len(names) - 1, -1, -1):
        share = length if left == 0 else FIRST_SHARE * length
        sounds.append(Sound(names[len(names) - 1 - left], start, share))
        start, length = start + share, length - share
    if names and names[0] == "P":
        sounds[0] = Sound("P", phoneme.start - BEFORE_BURST, sounds[0].length + BEFORE_BURST)
    return sounds


def _seed(data: bytes) -> int:
    return int(_digest(data)[:8], 16)


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()
