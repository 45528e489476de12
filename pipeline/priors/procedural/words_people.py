"""Words for who someone is: kinds of people, ages, origins; and the words that hold a sentence together."""

# Tables read better in one row per meaning.
# ruff: noqa: E501

from __future__ import annotations

from pipeline.priors.procedural.terms import FEMALE, MALE, Says, Term, Words, add

ORIGINS: dict[str, tuple[tuple[float, float, float], float]] = {
    "european": ((0.0, 0.0, 1.0), 0.15),
    "southern european": ((0.05, 0.0, 0.95), 0.26),
    "african": ((1.0, 0.0, 0.0), 0.8),
    "east african": ((0.75, 0.0, 0.25), 0.72),
    "north african": ((0.25, 0.0, 0.75), 0.4),
    "east asian": ((0.0, 1.0, 0.0), 0.22),
    "southeast asian": ((0.1, 0.85, 0.05), 0.38),
    "south asian": ((0.2, 0.15, 0.65), 0.5),
    "middle eastern": ((0.1, 0.05, 0.85), 0.33),
    "latin american": ((0.12, 0.25, 0.63), 0.36),
    "native american": ((0.05, 0.55, 0.4), 0.42),
    "pacific": ((0.35, 0.45, 0.2), 0.5),
}
"""Ancestry (african, asian, caucasian) and typical skin tone."""


def words_people() -> Words:
    """Phrases and their meanings."""
    words: Words = {}
    _roles(words)
    _people(words)
    _ages(words)
    _origins(words)
    return words


def _roles(words: Words) -> None:
    add(
        words,
        "this|that|these|those|some|all|one|of|to|at|on|for|from|by|as|it|its|i|me|my|we|you|your|very|quite|"
        "rather|really|slightly|somewhat|extremely|so|too|bit|little|pretty|looking|look|looks|like|style|"
        "styled|dyed|colored|coloured|color|colour|colors|tinted|portrait|photo|photograph|picture|image|head|"
        "headshot|bust|face|avatar|character|model|render|rendering|closeup|close|up|shot|view|front|frontal|"
        "realistic|photorealistic|hyperrealistic|detailed|highly|high quality|high detail|quality|studio|lighting|background|4|8|"
        "k|hd|3|d|cinematic|professional|beautiful|handsome|attractive|gorgeous|lovely|nice|cute|good|elegant|"
        "stylish|neat|please|make|create|generate|draw|show|want|give|who|which|there|pair|set|just|also|each|"
        "s|t|m|re|ve|ll|d",
        Term(role="filler"),
    )
    add(words, "a|an|the", Term(role="article"))
    add(words, "is|are|was|were|be|being|has|have|having|had|got|gets|:|=|looks", Term(role="link"))
    add(words, "no|not|without|non|never|lacking|minus|sans|neither|hasnt|doesnt|isnt|dont|free", Term(role="not"))
    add(words, "free of|instead of|rather than|devoid of", Term(role="not"))
    add(words, "in|wearing|wears|wear|dressed|dressed in|clad|clad in|sporting|sports|does", Term(role="wear"))
    add(words, "with|but|while|plus|then|whose|including|.|;|(|)|/|!|?", Term(role="stop"))
    add(words, ",", Term(role="comma"))
    add(words, "and|&|+", Term(role="and"))
    add(words, "or|nor", Term(role="or"))


def _people(words: Words) -> None:
    child, teen, old = (6.0, 10.0), (14.0, 18.0), (68.0, 80.0)
    kinds: tuple[tuple[Says, str, tuple[float, float] | None], ...] = (
        (FEMALE, "woman|women|female|lady|ladies|gal|wife|mother|mom|mum|actress|queen|madam|sister|aunt|feminine", None),
        (FEMALE, "girl|girls|daughter|princess|schoolgirl", teen),
        (FEMALE, "little girl|small girl|young girl", child),
        (FEMALE, "grandmother|grandma|granny|nana|old lady|elderly lady", old),
        (MALE, "man|men|male|guy|gentleman|gentlemen|lad|dude|husband|father|dad|actor|king|sir|brother|uncle|masculine", None),
        (MALE, "boy|boys|son|prince|schoolboy", teen),
        (MALE, "little boy|small boy|young boy", child),
        (MALE, "grandfather|grandpa|grandad|granddad", old),
        ({}, "person|people|someone|somebody|human|individual|adult|they", None),
        ({}, "child|kid|children|little child|little kid", child),
        ({}, "teen|teenager|adolescent|youth|youngster", teen),
        ({}, "grandparent|pensioner", old),
    )  # fmt: skip
    for gender, phrases, age in kinds:
        add(words, phrases, Term(says=gender, implies={"age": age} if age else {}, target="person"))
    note = "the youngest age in this version is 4 years"
    add(words, "toddler|baby|infant|newborn", Term(says={"age": (4.0, 4.5)}, target="person", note=note))
    add(words, "she", Term(implies=FEMALE, target="person"))
    add(words, "he", Term(implies=MALE, target="person"))
    add(words, "her|hers|herself", Term(implies=FEMALE, role="filler"))
    add(words, "his|him|himself", Term(implies=MALE, role="filler"))
    add(words, "their|them|themselves", Term(role="filler"))
    add(words, "non binary|nonbinary|androgynous|genderless|agender|genderfluid", Term(says={"gender": (0.4, 0.6)}))
    suit = {"clothing": "suit"}
    add(words, "businesswoman", Term(says=FEMALE, implies=suit, target="person"))
    add(words, "businessman|groom", Term(says=MALE, implies=suit, target="person"))
    professions = "lawyer|banker|politician|president|executive|manager|ceo|butler|businessperson|newsreader"
    add(words, professions, Term(implies=suit, target="person"))


def _ages(words: Words) -> None:
    for phrases, years in (
        ("old|elderly|aged|senior|geriatric", (68.0, 80.0)),
        ("very old|ancient", (80.0, 90.0)),
        ("older|mature", (56.0, 66.0)),
        ("middle aged|middle age|midlife", (45.0, 56.0)),
        ("young|youthful|younger|young adult|college aged", (20.0, 28.0)),
        ("teenage|teenaged|adolescent", (14.0, 18.0)),
        ("preteen|tween", (10.0, 13.0)),
    ):
        add(words, phrases, Term(says={"age": years}))


def _origins(words: Words) -> None:
    origins = {
        "european": "caucasian|european|british|english|scottish|irish|welsh|french|german|dutch|belgian|swiss|austrian|"
        "polish|czech|hungarian|russian|ukrainian|swedish|norwegian|danish|finnish|icelandic|scandinavian|nordic|slavic|"
        "baltic|romanian|eastern european|western european",
        "southern european": "mediterranean|italian|spanish|greek|portuguese|southern european|balkan|sicilian",
        "african": "african|african american|afro american|afroamerican|black african|sub saharan|west african|nigerian|"
        "ghanaian|kenyan|congolese|senegalese|jamaican|caribbean|haitian|south african|afro caribbean|zulu|ugandan|sudanese",
        "east african": "ethiopian|somali|eritrean|east african",
        "north african": "north african|moroccan|algerian|tunisian|egyptian|berber",
        "east asian": "asian|east asian|chinese|japanese|korean|taiwanese|mongolian|oriental",
        "southeast asian": "southeast asian|south east asian|vietnamese|thai|filipino|filipina|indonesian|malaysian|malay|"
        "cambodian|burmese",
        "south asian": "indian|south asian|pakistani|bangladeshi|sri lankan|nepali|nepalese|desi|tamil|punjabi|bengali",
        "middle eastern": "middle eastern|arab|arabic|arabian|persian|iranian|iraqi|turkish|lebanese|syrian|israeli|saudi|"
        "afghan|kurdish",
        "latin american": "latino|latina|latinx|latin|latin american|hispanic|mexican|colombian|peruvian|chilean|"
        "argentinian|cuban|puerto rican|brazilian|venezuelan",
        "native american": "native american|american indian|indigenous|inuit|first nations",
        "pacific": "pacific islander|polynesian|samoan|maori|hawaiian|tongan|fijian|melanesian|aboriginal",
    }  # fmt: skip
    for origin, phrases in origins.items():
        add(words, phrases, Term(says={"origin": origin}))
    add(words, "half|mixed|mixed race|biracial|multiracial|descent|heritage|ancestry|origin", Term(role="filler"))
