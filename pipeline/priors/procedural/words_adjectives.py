"""Adjectives: colours, shapes and sizes, which mean what the thing that they stand with makes of them."""

# Tables read better in one row per meaning.
# ruff: noqa: E501

from __future__ import annotations

from typing import Any

from pipeline.priors.procedural.terms import Says, Term, Words, add


def words_adjectives() -> Words:
    """Phrases and their meanings."""
    words: Words = {}
    _colors(words)
    _adjectives(words)
    return words


def _colors(words: Words) -> None:
    """Colour adjectives: which colour of each palette a word means."""
    table: dict[str, dict[str, str]] = {
        "black|jet black|raven|ebony": {"hair": "black", "eyes": "dark brown", "cloth": "black", "frame": "black"},
        "white|snow white": {"hair": "white", "cloth": "white", "frame": "white"},
        "grey|gray|greyish|grayish": {"hair": "grey", "eyes": "grey", "cloth": "grey", "frame": "silver", "metal": "silver"},
        "light grey|light gray": {"hair": "white", "eyes": "grey", "cloth": "grey", "frame": "silver"},
        "dark grey|dark gray|charcoal": {"hair": "grey", "eyes": "grey", "cloth": "charcoal", "frame": "black"},
        "silver|silvery|steel|metal": {"hair": "grey", "eyes": "grey", "cloth": "grey", "frame": "silver", "metal": "silver"},
        "gold|golden": {"hair": "blonde", "eyes": "amber", "cloth": "mustard", "frame": "gold", "metal": "gold"},
        "brown|chestnut|chocolate": {"hair": "brown", "eyes": "brown", "cloth": "brown", "frame": "brown"},
        "dark brown|brunette": {"hair": "dark brown", "eyes": "dark brown", "cloth": "brown", "frame": "brown"},
        "light brown": {"hair": "light brown", "eyes": "hazel", "cloth": "beige", "frame": "brown"},
        "tortoiseshell": {"frame": "brown"},
        "dark": {"hair": "dark brown", "eyes": "dark brown", "cloth": "charcoal", "frame": "black"},
        "light": {"hair": "light brown", "eyes": "grey", "cloth": "light blue"},
        "blonde|blond|blondish|sandy|flaxen": {"hair": "blonde"},
        "light blonde|light blond|platinum|platinum blonde|platinum blond|bleached": {"hair": "platinum"},
        "dark blonde|dark blond|dirty blonde|dirty blond": {"hair": "dark blonde"},
        "red|crimson|scarlet|bright red": {"hair": "red", "cloth": "red", "frame": "red", "lips": "red"},
        "ginger|copper|strawberry blonde|strawberry blond": {"hair": "red"},
        "auburn": {"hair": "auburn"},
        "dark red|burgundy|maroon|wine": {"hair": "auburn", "cloth": "burgundy", "frame": "red", "lips": "plum"},
        "blue|bright blue|royal blue": {"hair": "blue", "eyes": "blue", "cloth": "blue", "frame": "blue"},
        "light blue|pale blue|sky blue|icy blue|baby blue": {"hair": "blue", "eyes": "blue", "cloth": "light blue", "frame": "blue"},
        "dark blue|navy|navy blue|deep blue": {"hair": "blue", "eyes": "blue", "cloth": "navy", "frame": "blue"},
        "green|bright green|emerald": {"hair": "green", "eyes": "green", "cloth": "green"},
        "light green|pale green": {"hair": "green", "eyes": "green", "cloth": "green"},
        "dark green|olive|olive green|khaki": {"hair": "green", "eyes": "green", "cloth": "olive"},
        "hazel": {"eyes": "hazel", "hair": "brown"},
        "amber": {"eyes": "amber", "hair": "red"},
        "teal": {"hair": "blue", "cloth": "teal"},
        "turquoise|cyan|aqua": {"hair": "blue", "eyes": "blue", "cloth": "turquoise"},
        "yellow|bright yellow": {"hair": "blonde", "cloth": "yellow"},
        "mustard|ochre": {"cloth": "mustard"},
        "orange|peach": {"hair": "red", "cloth": "orange", "lips": "coral"},
        "coral": {"cloth": "orange", "lips": "coral"},
        "pink|rose|hot pink|bright pink|light pink|rosy": {"hair": "pink", "cloth": "pink", "lips": "pink"},
        "purple|violet|dark purple|plum": {"hair": "purple", "cloth": "purple", "lips": "plum"},
        "lavender|lilac|light purple": {"hair": "purple", "cloth": "lavender"},
        "beige|tan colored|sand": {"cloth": "beige"},
        "cream|ivory|off white": {"cloth": "cream"},
        "nude": {"lips": "nude"},
    }  # fmt: skip
    people: dict[str, Says] = {
        "black|ebony": {"origin": "african"},
        "white": {"origin": "european"},
        "brown": {"origin": "south asian"},
    }
    skins: dict[str, float] = {
        "black|ebony": 0.86, "dark": 0.78, "dark brown": 0.74, "brown": 0.56, "light brown": 0.42, "olive": 0.32,
        "golden": 0.3, "light": 0.12, "white": 0.06,
    }  # fmt: skip
    paths = {
        "hair": {"hair": "hair.color", "beard": "beard_color"},
        "eyes": {"eyes": "eye_color"},
        "cloth": {"clothing": "clothing_color", "shirt": "shirt_color", "tie": "tie_color"},
        "frame": {"glasses": "glasses_color"},
        "metal": {"earrings": "earring_color"},
        "lips": {"lips": "lip_color"},
    }
    hair_only = {"blonde", "blond", "brunette", "ginger", "auburn", "platinum", "platinum blonde", "dark", "copper"}
    hair_only |= {"strawberry blonde", "dirty blonde", "dark blonde", "light blonde", "platinum blond", "dirty blond"}
    for phrases, named in table.items():
        for phrase in phrases.split("|"):
            meanings: dict[str, dict[str, Any]] = {}
            for kind, color in named.items():
                for target, path in paths[kind].items():
                    meanings[target] = {path: color}
            for alike, says in people.items():
                if phrase in alike.split("|"):
                    meanings["person"] = dict(says)
            for alike, tone in skins.items():
                if phrase in alike.split("|"):
                    meanings["skin"] = {"skin_tone": tone}
            if phrase in hair_only:
                meanings["person"] = meanings["hair"]
            add(words, phrase, Term(meanings=meanings, alone="hair" if phrase in hair_only else ""))
    add(words, "redhead|redheaded|red headed", Term(says={"hair.color": "red"}, target="person"))
    salt = {
        "hair": {"hair.color": "dark brown", "hair.gray": 0.5},
        "beard": {"beard_color": "dark brown", "beard_gray": 0.5},
    }
    add(
        words, "salt and pepper|greying|graying|grizzled", Term(meanings={**salt, "person": salt["hair"]}, alone="hair")
    )


def _adjectives(words: Words) -> None:
    """Adjectives of shape, size and skin."""
    add(
        words,
        "long",
        Term(
            meanings={
                "hair": {"length": "long"},
                "beard": {"beard": "full"},
                "nose": _shape("nose-scale-vert-incr", 0.6),
            }
        ),
    )
    add(words, "short", Term(meanings={"hair": {"length": "short"}, "beard": {"beard": "full"}}))
    add(words, "round", Term(meanings={"glasses": {"glasses": "round"}, "person": {}}))
    add(words, "circular|oval", Term(meanings={"glasses": {"glasses": "round"}}))
    add(
        words,
        "square|rectangular",
        Term(meanings={"glasses": {"glasses": "square"}, "jaw": _shape("chin-width-incr", 0.6)}),
    )
    add(words, "hoop", Term(meanings={"earrings": {"earrings": "hoops"}}))
    add(words, "stud|pearl|diamond", Term(meanings={"earrings": {"earrings": "studs"}}))
    add(words, "full", Term(meanings={"beard": {"beard": "full"}, "lips": _lips(0.55)}))
    add(words, "thick|bushy|heavy", Term(
        meanings={"beard": {"beard": "full"}, "eyebrows": {"eyebrows": 0.9}, "hair": {}, "glasses": {}, "lips": _lips(0.6),
                  "makeup": {"makeup": 0.95}, "person": {"weight": 0.82}}))  # fmt: skip
    add(words, "trimmed|groomed", Term(meanings={"beard": {"beard": "full"}, "hair": {}}))
    thin = {"weight": 0.2}
    add(words, "thin", Term(
        meanings={"person": thin, "eyebrows": {"eyebrows": 0.15}, "lips": _lips(-0.5), "glasses": {}, "hair": {},
                  "nose": _shape("nose-scale-horiz-incr", -0.5)}, alone="person"))  # fmt: skip
    add(words, "slim|slender|skinny|lean|gaunt|petite|thin faced", Term(says=thin))
    add(
        words,
        "fat|chubby|overweight|plump|obese|heavyset|heavy set|chunky|stout|round faced|round face",
        Term(says={"weight": 0.85}),
    )
    add(words, "muscular|athletic|strong|fit|buff|burly", Term(says={"muscle": 0.85}))
    add(words, "pale|fair|light skinned|fair skinned|pale skinned", Term(
        meanings={"skin": {"skin_tone": 0.03}, "person": {"skin_tone": 0.04}, "hair": {"hair.color": "blonde"}}, alone="person"))  # fmt: skip
    add(words, "tan|tanned|sun tanned|suntanned|sunburnt", Term(
        meanings={"skin": {"skin_tone": 0.36}, "person": {"skin_tone": 0.36}, "clothing": {"clothing_color": "beige"}}, alone="person"))  # fmt: skip
    add(
        words,
        "few|subtle|faint",
        Term(meanings={"freckles": {"freckles": 0.4}, "wrinkles": {"wrinkles": 0.5}, "makeup": {"makeup": 0.35}}),
    )
    add(
        words,
        "many|lots|lots of|heavily",
        Term(meanings={"freckles": {"freckles": 1.0}, "wrinkles": {"wrinkles": 1.0}, "makeup": {"makeup": 0.95}}),
    )
    add(words, "natural", Term(meanings={"makeup": {"makeup": 0.25}, "hair": {}, "lips": {"lip_color": "natural"}}))
    add(words, "big|large|wide|broad", Term(
        meanings={"nose": _shape("nose-scale-horiz-incr", 0.6), "eyes": _both("eye-scale-incr", 0.6), "lips": _lips(0.5),
                  "ears": _both("ear-scale-incr", 0.5), "chin": _shape("chin-width-incr", 0.5), "jaw": _shape("chin-width-incr", 0.6),
                  "glasses": {}, "earrings": {}, "forehead": _shape("forehead-scale-vert-incr", 0.5)}))  # fmt: skip
    add(words, "small|narrow|tiny", Term(
        meanings={"nose": _shape("nose-scale-horiz-incr", -0.5), "eyes": _both("eye-scale-incr", -0.45), "lips": _lips(-0.4),
                  "ears": _both("ear-scale-incr", -0.5), "chin": _shape("chin-width-incr", -0.5), "jaw": _shape("chin-width-incr", -0.5),
                  "glasses": {}, "earrings": {}}))  # fmt: skip
    add(
        words,
        "high|prominent",
        Term(meanings={"cheekbones": _both("cheek-bones-incr", 0.6), "chin": _shape("chin-prominent-incr", 0.5)}),
    )
    add(words, "almond|almond shaped|hooded", Term(meanings={"eyes": _both("eye-corner2-up", 0.4)}))


def _shape(change: str, amount: float) -> Says:
    return {f"local_changes.{change}": amount}


def _both(change: str, amount: float) -> Says:
    return {**_shape(f"l-{change}", amount), **_shape(f"r-{change}", amount)}


def _lips(amount: float) -> Says:
    return {**_shape("mouth-upperlip-volume-incr", amount), **_shape("mouth-lowerlip-volume-incr", amount)}
