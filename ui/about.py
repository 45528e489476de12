"""What the page says of an avatar: the person in a few words, and what of the sentence was not understood."""

from __future__ import annotations

from typing import Any

from pipeline.recipe import Recipe
from ui.sentences import capitalised, plain

GROWN_UP = 18
"""Years from which a boy or girl is a man or woman."""
HAIR = {
    "bald": "bald",
    "short": "short {} hair",
    "bob": "{} bob",
    "long": "long {} hair",
    "afro": "{} afro",
    "bun": "{} bun",
}
CLOTHING = {"tshirt": "{} t-shirt", "suit": "{} suit"}
BEARDS = {"stubble": "stubble", "full": "full {} beard"}
MAKERS = {
    "animportrait3d": "Made by AnimPortrait3D", "procedural": "Made by another version",
    "portrait3d": "A portrait of Portrait3D on a rig", "avatar": "The look of another head on a new rig",
    "views": "Rigged from views",
}  # fmt: skip
"""Prior → who made a head that came without attributes."""
NAMELESS = "A portrait"
"""Title of a head that came without a sentence."""
TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Unicode's embeddings, overrides and isolates of writing directions."""
GREYING = 0.2
"""Share of grey strands from which hair is called greying."""


def about(recipe: Recipe, splats: int) -> str:
    """Markdown on a head; the visitor's own words are escaped."""
    lines = [f"**{plain(in_one_line(recipe.prompt)) or NAMELESS}**"]
    if recipe.attributes:
        lines.append(capitalised(", ".join(person(recipe.attributes))))
    lines += [plain(capitalised(note)) for note in recipe.notes]
    if recipe.unused_words:
        lines.append("Not understood: " + ", ".join(plain(word) for word in recipe.unused_words) + ".")
    made_by = f"Seed {recipe.seed}" if recipe.attributes else MAKERS.get(recipe.prior, "Made elsewhere")
    return "\n\n".join([*lines, f"{made_by} · {splats:,} splats"])


def in_one_line(text: str) -> str:
    """Without line breaks, blanks at the ends, and signs that turn the direction of what follows."""
    return " ".join("".join(char for char in text if char not in TURNING).split())


def person(attributes: dict[str, Any]) -> list[str]:
    """The person of `Attributes.to_dict()`, feature by feature: "woman of about 76", "grey bun", "brown eyes", …"""
    features = [f"{_kind(attributes['gender'], attributes['age'])} of about {attributes['age']:.0f}"]
    hair = attributes["hair"]
    features.append(HAIR[hair["style"]].format(_shade(hair["color"], hair["gray"])))
    features.append(f"{plain(attributes['eye_color'])} eyes")
    if attributes["beard"] in BEARDS:
        features.append(BEARDS[attributes["beard"]].format(_shade(attributes["beard_color"], attributes["beard_gray"])))
    if attributes["glasses"] != "none":
        features.append(f"{attributes['glasses']} {plain(attributes['glasses_color'])} glasses")
    if attributes["earrings"] != "none":
        features.append(f"{plain(attributes['earring_color'])} {attributes['earrings']}")
    features.append(CLOTHING[attributes["clothing"]].format(plain(attributes["clothing_color"])))
    return features


def _kind(gender: float, age: float) -> str:
    if 0.35 < gender < 0.65:
        return "person" if age >= GROWN_UP else "child"
    if age < GROWN_UP:
        return "girl" if gender > 0.5 else "boy"
    return "woman" if gender > 0.5 else "man"


def _shade(color: str, gray: float) -> str:
    return f"greying {plain(color)}" if gray > GREYING else plain(color)
