"""Words for hair, faces and what people wear."""

# Tables read better in one row per meaning.
# ruff: noqa: E501

from __future__ import annotations

from pipeline.priors.procedural.terms import FEMALE, MALE, Term, Words, add


def words_looks() -> Words:
    """Phrases and their meanings."""
    words: Words = {}
    _hair(words)
    _face(words)
    _wear(words)
    return words


def _hair(words: Words) -> None:
    bald = {"hair.style": "bald"}
    add(words, "hair|hairs|haired|hairdo|haircut|hairstyle|locks", Term(target="hair", negated=bald))
    add(words, "hairline", Term(target="hairline"))
    add(
        words,
        "bald|hairless|bald head|bald headed|shaved head|shaven head|shaven headed",
        Term(says=bald, target="hair"),
    )
    available = {"bob": "bob|bob cut|bob haircut", "afro": "afro|afro hair", "bun": "bun|hair bun|hair in a bun"}
    for style, phrases in available.items():
        implies = {"origin": "african"} if style == "afro" else {}
        add(words, phrases, Term(says={"hair.style": style}, implies=implies, target="hair"))
    add(words, "man bun", Term(says={"hair.style": "bun"}, implies=MALE, target="hair"))
    near = {
        ("short", "pixie cut"): "pixie|pixie cut",
        ("short", "buzz cut"): "buzz cut|buzzcut|crew cut|crewcut|fade|fade haircut|cropped|cropped hair|shaved sides",
        ("short", "modelled cut"): "undercut|mohawk|quiff|pompadour|side part|sidepart|slicked back|slick back|spiky|mullet",
        ("bob", "shoulder-length cut"): "shoulder length|medium length|chin length|lob",
        ("long", "braid"): "braid|braids|braided|plait|plaits|cornrows|dreadlocks|dreads|locs|box braids",
        ("bun", "ponytail"): "ponytail|pony tail|pigtails|tied back|pulled back",
        ("bun", "updo"): "updo|up do|chignon|top knot|topknot|hair up",
    }  # fmt: skip
    for (style, asked), phrases in near.items():
        note = f"a {asked} is not available in this version; {_with_article(style)} takes its place"
        add(words, phrases, Term(says={"hair.style": style}, target="hair", note=note))
    for texture, things, adjectives in (
        ("curly", "curls|ringlets", "curly|curled|coily|kinky|frizzy"),
        ("wavy", "waves", "wavy|waved"),
    ):
        note = f"{texture} hair is not available in this version; the nearest style takes its place"
        says = {"texture": texture}
        add(words, things, Term(says=says, note=note, target="hair"))
        add(words, adjectives, Term(meanings={"hair": says, "person": says}, alone="hair", note=note))
    add(words, "straight|sleek|silky|smooth|shiny|messy|tousled|combed", Term(meanings={"hair": {}, "beard": {}}))
    receding = {"hair.receding": 0.65, "hair.style": "short"}
    add(words, "receding", Term(meanings={"hairline": receding, "hair": receding}, alone="hair"))
    add(words, "thinning", Term(meanings={"hair": receding}, alone="hair"))
    add(words, "balding", Term(says={**receding, "hair.receding": 0.85}))


def _with_article(style: str) -> str:
    return f"a {style}" if style in ("bob", "bun") else f"{style} hair"


def _face(words: Words) -> None:
    none = {"beard": "none"}
    add(
        words, "beard|bearded|beards|facial hair", Term(implies={"beard": "full", **MALE}, target="beard", negated=none)
    )
    add(words, "full beard|mutton chops", Term(says={"beard": "full"}, implies=MALE, target="beard", negated=none))
    add(words, "stubble|stubbly|stubbled|unshaven|five o clock shadow|5 o clock shadow|scruff", Term(
        says={"beard": "stubble"}, implies=MALE, target="beard", negated=none))  # fmt: skip
    for asked, nearest in (
        ("moustache", "stubble"),
        ("goatee", "full"),
        ("sideburns", "stubble"),
        ("soul patch", "stubble"),
    ):
        takes = "a full beard" if nearest == "full" else "stubble"
        note = f"a {asked} is not available in this version; {takes} takes its place".replace(
            "a sideburns is", "sideburns are"
        )
        spellings = {"moustache": "moustache|mustache|moustached|mustached|moustaches", "goatee": "goatee|van dyke"}
        add(
            words,
            spellings.get(asked, asked),
            Term(says={"beard": nearest}, implies=MALE, target="beard", negated=none, note=note),
        )
    add(words, "clean shaven|cleanshaven|beardless|shaved|shaven|freshly shaved|smooth shaven", Term(says=none))
    add(words, "eyes|eye|eyed|irises|gaze", Term(target="eyes"))
    add(words, "eyebrows|brows|eyebrow|brow", Term(target="eyebrows"))
    add(words, "skin|complexion|skinned|skin tone", Term(target="skin"))
    add(
        words,
        "freckles|freckled|freckly|freckle",
        Term(implies={"freckles": 0.8}, target="freckles", negated={"freckles": 0.0}),
    )
    makeup = {"makeup": 0.0, "lip_color": "natural"}
    add(words, "makeup|make up|made up|eyeliner|eyeshadow|eye shadow|mascara|blush", Term(
        implies={"makeup": 0.75, **FEMALE}, target="makeup", negated=makeup))  # fmt: skip
    add(words, "lipstick|lip gloss|lipgloss", Term(
        implies={"lip_color": "red", **FEMALE}, target="lips", negated={"lip_color": "natural"}))  # fmt: skip
    add(words, "lips|lip|mouth", Term(target="lips"))
    add(words, "wrinkles|wrinkled|wrinkly|lined|weathered|crow s feet", Term(
        implies={"wrinkles": 0.95, "age": (60.0, 76.0)}, target="wrinkles", negated={"wrinkles": 0.0}))  # fmt: skip
    for word in ("nose", "chin", "jaw", "ears", "cheekbones", "cheeks", "forehead"):
        add(
            words,
            f"{word}|jawline" if word == "jaw" else f"{word}|{word}d" if word == "nose" else word,
            Term(target=word),
        )


def _wear(words: Words) -> None:
    glasses = "glasses|spectacles|eyeglasses|specs|bespectacled|eyewear|reading glasses|glass"
    add(words, glasses, Term(implies={"glasses": "?"}, target="glasses", negated={"glasses": "none"}))
    note = "sunglasses are not available in this version; clear glasses take their place"
    add(words, "sunglasses|shades|goggles", Term(
        implies={"glasses": "?"}, target="glasses", negated={"glasses": "none"}, note=note))  # fmt: skip
    add(words, "frames|frame|framed|rims|rim|rimmed", Term(target="glasses"))
    off = {"earrings": "none"}
    add(words, "earrings|earring|ear rings|ear ring", Term(
        implies={"earrings": "?", **FEMALE}, target="earrings", negated=off))  # fmt: skip
    add(words, "hoops|hoop earrings", Term(says={"earrings": "hoops"}, implies=FEMALE, target="earrings", negated=off))
    add(words, "studs|stud earrings", Term(says={"earrings": "studs"}, implies=FEMALE, target="earrings", negated=off))
    add(
        words,
        "t shirt|tshirt|tee|tee shirt|top|t shirts|crew neck",
        Term(says={"garment": "tshirt"}, target="clothing"),
    )
    add(words, "suit|suits|suited|formal|formal wear|formally", Term(says={"garment": "suit"}, target="clothing"))
    add(words, "tie|necktie|suit and tie", Term(says={"garment": "suit"}, target="tie", negated={"tie": "none"}))
    add(words, "shirt|dress shirt|button down|collared shirt", Term(implies={"garment": "shirt"}, target="shirt"))
    for phrases, garment, implies in (
        ("hoodie|hoody|sweatshirt", "hoodie", {}),
        ("sweater|jumper|pullover|turtleneck|cardigan|jersey", "sweater", {}),
        ("dress|gown|blouse", "dress", FEMALE),
        ("tank top|vest|polo|polo shirt", "vest", {}),
        ("scrubs|uniform|robe|sari|kimono", "garment of this kind", {}),
    ):
        takes = f"a {garment} is not available in this version; a t-shirt takes its place"
        add(words, phrases, Term(says={"garment": "tshirt"}, implies=implies, target="clothing", note=takes))
    add(words, "clothes|clothing|outfit", Term(target="clothing"))
    near = "a {} is not available in this version; a suit takes its place"
    for phrases, garment in (
        ("jacket|blazer", "jacket on its own"),
        ("tuxedo|tux|bow tie|bowtie", "tuxedo"),
        ("coat", "coat"),
    ):
        add(words, phrases, Term(says={"garment": "suit"}, target="clothing", note=near.format(garment)))
