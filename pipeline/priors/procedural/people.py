"""Fills in what a prompt leaves open: ordinary, good-looking people, with what usually goes together.

Every attribute draws from its own stream of the seed and the kind of person, so that "a young woman with glasses" is
the young woman of the same seed, with glasses.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.priors.procedural.attributes import Ancestry, Attributes, HairAttributes, natural_gray
from pipeline.priors.procedural.face_shape import draw_face_shape
from pipeline.priors.procedural.facts import Facts
from pipeline.priors.procedural.fields import smoothstep
from pipeline.priors.procedural.words_people import ORIGINS

MALE, FEMALE = (0.0, 0.07), (0.93, 1.0)
ADULT = 18.0
ORIGIN_SHARES = {
    "european": 0.36, "southern european": 0.06, "african": 0.15, "east asian": 0.17, "southeast asian": 0.05,
    "south asian": 0.09, "middle eastern": 0.05, "latin american": 0.07,
}  # fmt: skip
LIGHT_HAIR = ("light brown", "dark blonde", "blonde", "platinum", "auburn", "red")
LIGHT_EYES = ("blue", "green", "grey", "hazel", "amber")
DARK_HAIR_SHARES = {"black": 0.72, "dark brown": 0.28}
BLACK_HAIR_ORIGINS = ("african", "east african", "east asian", "southeast asian")
EUROPEAN_HAIR_SHARES = {
    "black": 0.05, "dark brown": 0.28, "brown": 0.3, "light brown": 0.15, "dark blonde": 0.08, "blonde": 0.1,
    "auburn": 0.02, "red": 0.02,
}  # fmt: skip
FRECKLED_HAIR_SHARES = {"red": 0.4, "auburn": 0.2, "light brown": 0.25, "dark blonde": 0.15}
EUROPEAN_EYE_SHARES = {"blue": 0.32, "brown": 0.32, "hazel": 0.14, "green": 0.13, "grey": 0.09}
DARK_EYE_SHARES = {"dark brown": 0.75, "brown": 0.25}
TSHIRT_SHARES = {
    "navy": 2.0, "black": 1.5, "grey": 1.5, "white": 1.0, "olive": 1.0, "burgundy": 1.0, "teal": 1.0, "beige": 1.0,
    "mustard": 0.5, "light blue": 0.5,
}  # fmt: skip
SUIT_SHARES = {"charcoal": 2.0, "navy": 2.0, "black": 1.0, "grey": 0.7}
TIE_SHARES = {"burgundy": 1.5, "navy": 1.0, "teal": 1.0, "purple": 0.7, "green": 0.6}
SHIRT_SHARES = {"white": 0.8, "light blue": 0.2}


class Person:
    """Draws one attribute at a time for one seed and one set of facts."""

    def __init__(self, facts: Facts, seed: int) -> None:
        self.facts, self.seed = facts, seed

    def stream(self, name: str) -> np.random.Generator:
        """The random numbers of one attribute."""
        return np.random.default_rng([self.seed, zlib.crc32(f"{self.facts.kind()} {name}".encode())])

    def pick(self, name: str, shares: Mapping[str, float]) -> str:
        """One of the options by its share, never one that the prompt rules out while another is left."""
        allowed = {option: share for option, share in shares.items() if not self.facts.excludes(name, option)}
        options = allowed or dict(shares)
        weights = np.array(list(options.values()))
        return str(self.stream(name).choice(list(options), p=weights / weights.sum()))

    def chance(self, name: str, probability: float) -> bool:
        return bool(self.stream(f"{name} chance").random() < probability)

    def number(self, path: str, mean: float, deviation: float, low: float = 0.0, high: float = 1.0) -> float:
        """What the prompt says (a number, or a range to draw from), else a normal draw within the bounds."""
        stated = self.facts.get(path)
        rng = self.stream(path)
        if isinstance(stated, tuple):
            return round(float(rng.uniform(*stated)), 3)
        if stated is not None:
            return float(stated)
        for value in rng.normal(mean, deviation, 16):
            if not self.facts.excludes(path, float(value)):
                break
        return round(float(np.clip(value, low, high)), 3)

    def color(self, path: str, shares: Mapping[str, float]) -> str:
        stated = self.facts.get(path)
        return str(stated) if stated is not None else self.pick(path, shares)


def complete(facts: Facts, seed: int) -> Attributes:
    """`Attributes` that agree with the facts, the rest drawn from the seed."""
    person = Person(facts, seed)
    origins = _origins(person)
    gender = _gender(person)
    age = _age(person)
    is_woman, is_adult = gender >= 0.5, age >= ADULT
    ancestry, tone = _ancestry(person, origins)
    hair = _hair(person, origins, is_woman, age)
    beard = _beard(person, is_woman, age)
    clothing = _clothing(person, is_woman, is_adult)
    wrinkles = float(np.clip((age - 36) / 44, 0, 1))
    weight = person.number("weight", 0.45, 0.07)
    is_red = hair.color in ("red", "auburn")
    beard_color = facts.get("beard_color", hair.color)
    return Attributes(
        seed=seed,
        gender=gender,
        age=age,
        ancestry=ancestry,
        skin_tone=tone,
        freckles=person.number("freckles", 0.3 if is_red else 0.0, 0.06 if origins == ["european"] else 0.0),
        makeup=person.number("makeup", 0.3, 0.1) if is_woman and is_adult else person.number("makeup", 0.0, 0.0),
        lip_color=facts.get("lip_color", "natural"),
        wrinkles=person.number("wrinkles", wrinkles, 0.06 if wrinkles > 0 else 0.0),
        hair=hair,
        eyebrows=person.number("eyebrows", 0.42 if is_woman else 0.6, 0.1),
        eye_color=person.color("eye_color", EUROPEAN_EYE_SHARES if _is_light(person, origins) else DARK_EYE_SHARES),
        beard=beard,
        beard_color=beard_color,
        beard_gray=float(facts.get("beard_gray", min(1.0, hair.gray * 1.15) if beard_color == hair.color else 0.0)),
        glasses=_glasses(person, age),
        glasses_color=person.color("glasses_color", {"black": 0.6, "brown": 0.2, "gold": 0.1, "silver": 0.1}),
        earrings=_earrings(person, is_woman and is_adult),
        earring_color=person.color("earring_color", {"gold": 0.6, "silver": 0.4}),
        clothing=clothing,
        clothing_color=_clothing_color(person, clothing),
        shirt_color=person.color("shirt_color", SHIRT_SHARES),
        tie_color=person.color("tie_color", TIE_SHARES),
        weight=weight,
        muscle=person.number("muscle", 0.45 if is_woman else 0.55, 0.06),
        local_changes=_face_shape(person, gender, age, weight),
    )


def _origins(person: Person) -> list[str]:
    facts = person.facts
    if facts.origins:
        return facts.origins
    if facts.get("origin") is not None:
        return [facts.get("origin")]
    shares = dict(ORIGIN_SHARES)
    tone = facts.get("skin_tone")
    if tone is not None:
        shares = {
            name: share * float(np.exp(-(((ORIGINS[name][1] - tone) / 0.1) ** 2))) + 1e-6
            for name, share in shares.items()
        }
    looks_european = (
        facts.get("hair.color") in LIGHT_HAIR or facts.get("eye_color") in LIGHT_EYES or facts.get("freckles", 0.0) > 0
    )
    if looks_european and (tone is None or tone < 0.4):
        shares = {"european": 1.0}
    return [person.pick("origin", shares)]


def _ancestry(person: Person, origins: Sequence[str]) -> tuple[Ancestry, float]:
    known = [ORIGINS[name] for name in origins]
    african, asian, caucasian = (float(x) for x in np.mean([shares for shares, _ in known], axis=0).round(3))
    tone = person.number("skin_tone", float(np.mean([tone for _, tone in known])), 0.035)
    return Ancestry(african, asian, caucasian), tone


def _is_light(person: Person, origins: Sequence[str]) -> bool:
    return list(origins) == ["european"] and person.facts.get("hair.color") != "black"


def _gender(person: Person) -> float:
    facts = person.facts
    women = 0.8 if facts.get("hair.style") in ("bob", "bun", "long") or facts.get("length") == "long" else 0.5
    options = {"female": women, "male": 1 - women}
    kept = {
        name: share
        for name, share in options.items()
        if not facts.excludes("gender", {"female": 1.0, "male": 0.0}[name])
    }
    drawn = person.pick("gender kind", kept or options)
    low, high = facts.get("gender", FEMALE if drawn == "female" else MALE)
    return round(float(person.stream("gender").uniform(low, high)), 3)


def _age(person: Person) -> float:
    facts = person.facts
    stated = facts.get("age")
    rng = person.stream("age")
    if stated is not None:
        return round(float(rng.uniform(*stated)), 1)
    left, mode, right = 20.0, 28.0, 52.0
    if facts.get("hair.color") in ("grey", "white") or facts.get("beard_color") in ("grey", "white"):
        left, mode, right = 55.0, 64.0, 76.0
    elif facts.get("hair.gray", 0.0) > 0 or facts.get("hair.receding", 0.0) > 0:
        left, mode, right = 42.0, 50.0, 62.0
    draws = rng.triangular(left, mode, right, 32)
    return round(float(next((age for age in draws if not facts.excludes("age", float(age))), draws[0])), 1)


def _hair(person: Person, origins: Sequence[str], is_woman: bool, age: float) -> HairAttributes:
    facts = person.facts
    style = _hair_style(person, origins, is_woman, age)
    shares = EUROPEAN_HAIR_SHARES if list(origins) == ["european"] else DARK_HAIR_SHARES
    if all(origin in BLACK_HAIR_ORIGINS for origin in origins):
        shares = {"black": 1.0}
    if list(origins) == ["european"] and facts.get("freckles", 0.0) > 0:
        shares = FRECKLED_HAIR_SHARES
    beard_color = facts.get("beard_color")
    color = str(facts.get("hair.color", beard_color or person.pick("hair.color", shares)))
    gray = facts.get("hair.gray")
    if gray is None and ("hair.color" in facts.said or beard_color):
        gray = 0.0
    if gray is None:
        usual = natural_gray(age) * (float(smoothstep(45, 72, age)) if is_woman else 1.0)  # many women dye it
        gray = round(float(np.clip(usual + person.stream("gray").normal(0, 0.08) * (usual > 0.05), 0, 1)), 3)
    receding = 0.0 if is_woman else float(np.clip((age - 32) / 90, 0, 0.5))
    if style != "short":
        receding *= 0.3
    return HairAttributes(style, color, gray, person.number("hair.receding", receding, 0.1 if receding > 0 else 0.0))


def _hair_style(person: Person, origins: Sequence[str], is_woman: bool, age: float) -> str:
    facts = person.facts
    stated = facts.get("hair.style")
    if stated is not None:
        return str(stated)
    length, texture = facts.get("length"), facts.get("texture")
    is_african = "african" in origins
    if length is not None and not (texture == "curly" and is_african):
        return str(length)
    if texture == "curly" and is_african:
        return "afro"
    if texture is not None:
        return "long" if is_woman else "short"
    if is_woman and is_african:
        shares = {"afro": 0.4, "bun": 0.3, "long": 0.15, "bob": 0.15}
    elif is_woman and age >= 60:
        shares = {"bob": 0.45, "bun": 0.3, "short": 0.25}
    elif is_woman:
        shares = {"long": 0.48, "bob": 0.3, "bun": 0.22}
    elif is_african:
        shares = {"short": 0.85, "afro": 0.15}
    else:
        shares = {"short": 1.0, "bald": 0.1 if age >= 45 else 0.0}
    if facts.excludes("length", "long"):
        shares = {style: share for style, share in shares.items() if style != "long"}
    if facts.excludes("length", "short"):
        shares = {"long": 1.0}
    return person.pick("hair.style", shares)


def _beard(person: Person, is_woman: bool, age: float) -> str:
    facts = person.facts
    stated = facts.get("beard")
    if stated is not None:
        return str(stated)
    if "beard_color" in facts.said:
        return "full"
    if is_woman or age < 22:
        return "none"
    return person.pick("beard", {"none": 0.6, "stubble": 0.24, "full": 0.16})


def _glasses(person: Person, age: float) -> str:
    stated = person.facts.get("glasses")
    if stated not in (None, "?"):
        return str(stated)
    usual = 0.16 if age > 58 else 0.05
    wears = stated == "?" or person.chance("glasses", usual)
    return person.pick("glasses", {"round": 0.5, "square": 0.5}) if wears else "none"


def _earrings(person: Person, usual: bool) -> str:
    stated = person.facts.get("earrings")
    if stated not in (None, "?"):
        return str(stated)
    if stated == "?":
        return person.pick("earrings", {"hoops": 0.7, "studs": 0.3})
    return person.pick("earrings usual", {"none": 0.72, "studs": 0.2, "hoops": 0.08}) if usual else "none"


def _clothing(person: Person, is_woman: bool, is_adult: bool) -> str:
    facts = person.facts
    garment = facts.get("garment")
    if garment == "shirt":
        facts.note("a shirt is not available in this version; a t-shirt takes its place")
        return "tshirt"
    if garment is not None:
        if garment == "suit" and facts.get("tie") == "none":
            facts.note("a suit without a tie is not available in this version; the tie stays")
        return str(garment)
    suit = 0.0 if is_woman or not is_adult or facts.excludes("garment", "suit") else 0.1
    return str(facts.get("clothing", person.pick("clothing", {"tshirt": 1 - suit, "suit": suit})))


def _clothing_color(person: Person, clothing: str) -> str:
    stated: Any = person.facts.get("clothing_color")
    if stated is None and clothing == "tshirt":
        stated = person.facts.get("shirt_color")
    if stated is not None:
        return str(stated)
    return person.pick("clothing_color", SUIT_SHARES if clothing == "suit" else TSHIRT_SHARES)


def _face_shape(person: Person, gender: float, age: float, weight: float) -> dict[str, float]:
    changes = draw_face_shape(person.stream("face shape"), gender, age, weight)
    prefix = "local_changes."
    for path, value in person.facts.said.items():
        if path.startswith(prefix):
            name = path.removeprefix(prefix)
            changes[name] = float(np.clip(changes.get(name, 0.0) * 0.5 + value, -1, 1))
    return changes
