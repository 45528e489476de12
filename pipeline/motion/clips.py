"""Clips of our own: a head that talks, feels, looks around, waits, and shows every action that it has.

Each starts and ends at rest and is the same every time. `examples/make_motions.py` writes them to files.
"""

from __future__ import annotations

from collections.abc import Callable

from pipeline.motion import curves
from pipeline.motion.curves import stroke, through
from pipeline.motion.face import Face
from pipeline.motion.motion import ARKIT_NAMES, Motion
from pipeline.motion.visemes import DIPHTHONGS, VOWELS, Sound, mouth_curves

SPEECH = (
    ("HH AH L OW1", 0.24),
    ("N AY1 S T AH M IY1 T Y UW1", 0.34),
    ("AY W AH Z M EY1 D F R AH M AH S EH1 N T AH N S", 0.28),
    ("AE N D N AW1 AY K AE N T AO1 K", 0.16),
    ("S M AY1 L", 0.2),
    ("AE N D L UH1 K ER AW1 N D", 0.4),
)
"""Hello. Nice to meet you. I was made from a sentence, and now I can talk, smile, and look around. ARPABET, with
1 after a stressed vowel, and the seconds of pause that follow."""
SMILE_PHRASE = 4
CONSONANT_SECONDS = {"S": 0.10, "SH": 0.10, "F": 0.10, "M": 0.08, "P": 0.085, "B": 0.08, "T": 0.06, "D": 0.055}
OTHER_CONSONANT_SECONDS = 0.065
STRESSED_SECONDS, WEAK_SECONDS, DIPHTHONG_SECONDS = 0.15, 0.075, 0.05
FINAL_STRETCH = 1.35
"""The last three sounds before a pause are longer."""

EMOTIONS: dict[str, dict[str, float]] = {
    "happy": {
        "mouthSmile": 0.75, "cheekSquint": 0.6, "eyeSquint": 0.2, "mouthUpperUp": 0.35, "mouthLowerDown": 0.3,
        "jawOpen": 0.12, "mouthDimple": 0.2, "browOuterUp": 0.15,
    },
    "surprised": {"browInnerUp": 0.85, "browOuterUp": 0.8, "eyeWide": 0.75, "jawOpen": 0.5, "mouthFunnel": 0.2},
    "sad": {"browInnerUp": 0.7, "mouthFrown": 0.6, "mouthShrugLower": 0.35, "eyeSquint": 0.2, "eyeBlink": 0.15},
    "angry": {
        "browDown": 0.85, "eyeSquint": 0.35, "noseSneer": 0.4, "mouthPress": 0.55, "jawForward": 0.35,
        "mouthFrown": 0.25,
    },
    "disgusted": {
        "noseSneer": 0.8, "mouthUpperUp": 0.45, "browDown": 0.4, "cheekSquint": 0.4, "mouthFrown": 0.35,
        "eyeSquint": 0.4,
    },
    "afraid": {
        "browInnerUp": 0.8, "browOuterUp": 0.25, "browDown": 0.15, "eyeWide": 0.8, "mouthStretch": 0.6, "jawOpen": 0.18,
    },
    "doubtful": {"browOuterUpLeft": 0.8, "browDownRight": 0.55, "mouthLeft": 0.35, "mouthPressLeft": 0.3},
}  # fmt: skip
EMOTION_HEADS = {
    "happy": (-2.0, 3.0, 4.0), "surprised": (-5.0, 0.0, 0.0), "sad": (8.0, -4.0, -4.0), "angry": (4.0, 0.0, 0.0),
    "disgusted": (-3.0, -8.0, 3.0), "afraid": (-3.0, 5.0, 0.0), "doubtful": (1.0, -6.0, 6.0),
}  # fmt: skip
"""Degrees of pitch, yaw and roll."""
EMOTION_SECONDS = 1.8
ACTION_SECONDS = 0.5
JAW_BESIDE = {"mouthClose": 1.0, "tongueOut": 0.1}
"""Actions that mean nothing without an open jaw, and how open."""


def spoken(phrases: tuple[tuple[str, float], ...], start: float) -> tuple[list[Sound], list[float], list[float]]:
    """Sounds on a time line from ``start`` seconds, when the stressed vowels begin, and when the phrases do."""
    sounds: list[Sound] = []
    stresses: list[float] = []
    starts: list[float] = []
    at = start
    for text, pause in phrases:
        names = text.split()
        starts.append(at)
        for number, name in enumerate(names):
            sound, stressed = name.removesuffix("1"), name.endswith("1")
            length = CONSONANT_SECONDS.get(sound, OTHER_CONSONANT_SECONDS)
            if sound in VOWELS or sound in DIPHTHONGS:
                length = STRESSED_SECONDS if stressed else WEAK_SECONDS
                length += DIPHTHONG_SECONDS if sound in DIPHTHONGS else 0.0
            if stressed:
                stresses.append(at)
            if number >= len(names) - 3:
                length *= FINAL_STRETCH
            sounds.append(Sound(sound, at, length, 1.15 if stressed else 0.8))
            at += length
        sounds.append(Sound("-", at, pause))
        at += pause
    return sounds, stresses, starts


def talk() -> Motion:
    """A friendly introduction with nods and brows on the stressed words."""
    sounds, stresses, starts = spoken(SPEECH, 0.4)
    face = Face(sounds[-1].start + sounds[-1].length + 0.4, seed=5)
    times = face.times
    for name, curve in mouth_curves(sounds, times).items():
        face.add(name, curve)
    for number, at in enumerate(stresses):
        face.stress(at, float(face.random.uniform(0.5, 1.0)), brows=number % 2 == 0)
    for at, height in ((0.05, 0.30), (starts[SMILE_PHRASE], 0.55)):
        smile = stroke(times, at, 0.35, 0.5, 0.7, height)
        face.add("mouthSmile", smile)
        face.add("cheekSquint", 0.6 * smile)
        face.add("eyeSquint", 0.35 * smile)
    away, back = starts[-1], sounds[-1].start
    face.turn(yaw=through(times, [(away, 0.0), (away + 0.35, 9.0), (back - 0.1, 9.0), (back + 0.4, 0.0)]))
    face.look(left=curves.glances(times, [(away - 0.05, 14.0), (back - 0.05, 0.0)]))
    face.add("mouthSmile", 0.07 * curves.at_rest_at_the_ends(times, face.seconds, 0.5))
    face.live(sway_degrees=1.6, blink_gap=2.4, first_blink=1.1)
    return face.motion("talk: an introduction")


def emotions() -> Motion:
    """Seven feelings one after the other, with the head in them."""
    face = Face(0.4 + EMOTION_SECONDS * len(EMOTIONS) + 0.6, seed=7)
    for number, (feeling, actions) in enumerate(EMOTIONS.items()):
        start = 0.4 + EMOTION_SECONDS * number
        felt = stroke(face.times, start, 0.4, EMOTION_SECONDS - 0.75, 0.5)
        for name, value in actions.items():
            face.add(name, value * felt)
        pitch, yaw, roll = EMOTION_HEADS[feeling]
        moved = stroke(face.times, start + 0.08, 0.55, EMOTION_SECONDS - 0.95, 0.6)
        face.turn(pitch * moved, yaw * moved, roll * moved)
        face.blink(start - 0.05)
    face.live(sway_degrees=0.8, blink_gap=5.0, first_blink=1.6)
    return face.motion("emotions: seven feelings")


def look_around() -> Motion:
    """The eyes go first, the head follows, and the eyes come back to the middle as it arrives."""
    places = (
        (0.5, 0.0, 24.0),
        (1.9, -10.0, 10.0),
        (3.0, 3.0, -26.0),
        (4.5, 14.0, -8.0),
        (5.6, -4.0, 14.0),
        (6.7, 0.0, 0.0),
    )
    face = Face(8.0, seed=11)
    for axis, part in enumerate(("down", "left")):
        degrees = [(at, (down, left)[axis]) for at, down, left in places]
        gaze = curves.glances(face.times, degrees)
        keys, now = [(0.0, 0.0)], 0.0
        for at, value in degrees:
            keys += [(at + 0.07, now), (at + 0.07 + 0.4 + 0.012 * abs(value - now), 0.75 * value)]
            now = 0.75 * value
        head = through(face.times, keys)
        if part == "down":
            face.look(down=gaze)
            face.turn(pitch=head)
        else:
            face.look(left=gaze)
            face.turn(yaw=head, roll=0.12 * head)
    for at, _, _ in places[::2]:
        face.blink(at - 0.03)
    face.add("browInnerUp", stroke(face.times, 1.9, 0.3, 0.6, 0.4, 0.35))
    face.add("browOuterUp", stroke(face.times, 1.9, 0.3, 0.6, 0.4, 0.30))
    face.live(sway_degrees=0.6, blink_gap=4.0, first_blink=5.2)
    return face.motion("look_around: eyes lead, head follows")


def idle() -> Motion:
    """Someone who waits: breath, sway, blinks, a hint of a smile."""
    face = Face(10.0, seed=13)
    face.live(sway_degrees=1.8, blink_gap=3.2, first_blink=1.3)
    face.blink(5.75)
    face.add("mouthSmile", stroke(face.times, 3.2, 0.9, 2.2, 1.4, 0.18))
    face.add("mouthPress", stroke(face.times, 7.2, 0.4, 0.3, 0.5, 0.25))
    face.add("browInnerUp", stroke(face.times, 6.0, 0.5, 0.8, 0.7, 0.15))
    return face.motion("idle: waiting")


def range_of_motion() -> Motion:
    """Every facial action on its own to its end, then the neck, the head and both eyes."""
    turns = 3
    face = Face(0.3 + ACTION_SECONDS * len(ARKIT_NAMES) + 1.6 * turns + 0.3, seed=17)
    for number, name in enumerate(ARKIT_NAMES):
        start = 0.3 + ACTION_SECONDS * number
        shown = stroke(face.times, start, 0.2, 0.1, 0.2)
        face.add(name, shown)
        if name in JAW_BESIDE:
            face.add("jawOpen", JAW_BESIDE[name] * shown)
    start = 0.3 + ACTION_SECONDS * len(ARKIT_NAMES)
    for axis, reach in enumerate((18.0, 32.0, 16.0)):
        at = start + 1.6 * axis
        degrees = through(face.times, [(at, 0.0), (at + 0.4, reach), (at + 1.15, -reach), (at + 1.6, 0.0)])
        face.turn(*(degrees if axis == other else 0.0 for other in range(3)))
        face.look(down=degrees if axis == 0 else 0.0, left=degrees if axis == 1 else 0.0)
    return face.motion("range_of_motion: all 52 actions, neck and head")


CLIPS: dict[str, Callable[[], Motion]] = {
    "talk": talk,
    "emotions": emotions,
    "look_around": look_around,
    "idle": idle,
    "range_of_motion": range_of_motion,
}
"""File name → what makes the clip."""
