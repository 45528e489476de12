"""Reads a sentence: which words say what about the person, and which were not understood.

The sentence is cut into words, the longest known phrases are looked up in the vocabulary, "no" and "without" find what
they deny, each adjective finds the thing that it describes ("grey bun", "her eyes are blue", "a woman in black"), and
what is left open is drawn from the seed.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.errors import UserError
from pipeline.priors.procedural.age_phrases import read_age
from pipeline.priors.procedural.attributes import Attributes
from pipeline.priors.procedural.facts import Facts
from pipeline.priors.procedural.people import complete
from pipeline.priors.procedural.terms import Term
from pipeline.priors.procedural.vocabulary import LONGEST_PHRASE, VOCABULARY

LONGEST_PROMPT = 1000
"""Characters."""
EXAMPLE = "an elderly asian woman with a grey bun and round glasses"
SHOWN_WORDS = 8
"""An error names no more unknown words than this."""
UNKNOWN_BETWEEN = 2
"""Unknown words that may stand between an adjective and its thing, as in "red silk tie"."""
LASTING = ("hair", "eyes", "skin", "eyebrows")
"""Things that stay when an adjective of theirs is denied: "no grey hair" is not bald."""


@dataclass(frozen=True)
class Understanding:
    """What was made of a prompt."""

    attributes: Attributes
    unused_words: tuple[str, ...]
    """Words that were not understood, in order."""
    notes: tuple[str, ...]
    """Sentences on what was replaced or contradicts itself."""


@dataclass
class Item:
    """A phrase of the prompt with its meaning."""

    text: str
    term: Term | None
    """None for a word that is not in the vocabulary."""
    is_number: bool = False
    """An age in figures, which outweighs "young" and "old"."""
    denied: bool = False
    used: bool = False

    @property
    def role(self) -> str:
        return self.term.role if self.term else "unknown"

    @property
    def target(self) -> str:
        return self.term.target if self.term else ""

    @property
    def is_adjective(self) -> bool:
        return self.term is not None and bool(self.term.meanings)


def understand(prompt: str, seed: int) -> Understanding:
    """The person whom the prompt describes; what it leaves open is drawn from the seed.

    The same prompt and seed give the same attributes, and one seed keeps its face when words are added to the prompt.
    Raises `UserError` when the prompt is empty, longer than 1,000 characters, or none of its words is known.
    """
    if len(prompt) > LONGEST_PROMPT:
        raise UserError(f"the prompt has {len(prompt):,} characters; it may have {LONGEST_PROMPT:,} at most")
    words = tokenise(prompt)
    if not words:
        raise UserError(f'the prompt is empty; describe a person, e.g. "{EXAMPLE}"')
    items = read_phrases(words)
    deny(items)
    facts = Facts()
    read_facts(items, facts)
    unused = tuple(dict.fromkeys(item.text for item in items if not item.used and item.role in ("word", "unknown")))
    if not any(item.used for item in items):
        raise UserError(_nothing_understood(unused or tuple(dict.fromkeys(words))))
    return Understanding(complete(facts, seed), unused, tuple(facts.notes))


def tokenise(prompt: str) -> list[str]:
    """Lower-case words, numbers and single punctuation marks; hyphens, quotes and spaces only separate."""
    text = unicodedata.normalize("NFKC", prompt).casefold().replace("’", "'").replace("n't", " not")
    return list(_runs(text))


def _runs(text: str) -> Iterator[str]:
    for kind, run in itertools.groupby(text, _character_kind):
        if kind in ("letter", "digit"):
            yield "".join(run)
        elif kind == "mark":
            yield from run


def _character_kind(character: str) -> str:
    category = unicodedata.category(character)
    if category[0] in "LM":
        return "letter"
    if category == "Nd":
        return "digit"
    separates = category[0] in "ZC" or category in ("Pd", "Pc", "Pi", "Pf", "Sk") or character in "'\"*#@%[]{}<>~|\\"
    return "space" if separates else "mark"


def read_phrases(words: list[str]) -> list[Item]:
    """Longest known phrases from the left; ages such as "45 year old" become phrases of their own."""
    items = []
    at = 0
    while at < len(words):
        age = read_age(words, at)
        length = age.length if age else _known_length(words, at)
        term = age.term if age else VOCABULARY.get(tuple(words[at : at + length]))
        items.append(Item(" ".join(words[at : at + length]), term, is_number=age is not None))
        at += length
    return items


def _known_length(words: list[str], at: int) -> int:
    """Words of the longest known phrase at a place, 1 when there is none."""
    lengths = range(min(LONGEST_PHRASE, len(words) - at), 0, -1)
    return next((length for length in lengths if tuple(words[at : at + length]) in VOCABULARY), 1)


def deny(items: list[Item]) -> None:
    """Marks what "no", "not" and "without" deny: up to the next thing, and on over "or" and "and" + bare thing."""
    denying = complete_phrase = False
    for item, after in itertools.zip_longest(items, items[1:]):
        if item.role == "not":
            denying, complete_phrase = True, False
        elif not denying:
            continue
        elif item.role == "or" or (item.role == "and" and after is not None and _can_be_without(after)):
            complete_phrase = False
        elif complete_phrase or item.role in ("stop", "comma", "and"):
            denying = False
        elif item.role in ("word", "unknown"):
            item.denied = True
            complete_phrase = not item.is_adjective


def _can_be_without(item: Item) -> bool:
    return item.term is not None and item.term.negated is not None and item.target not in LASTING


def read_facts(items: list[Item], facts: Facts) -> None:
    """Everything that the phrases say: adjectives with their things, then ages in figures, then the rest in order."""
    described: set[int] = set()
    for index, item in enumerate(items):
        if item.is_adjective:
            _read_adjective(items, index, facts, described)
    order = sorted(range(len(items)), key=lambda index: not items[index].is_number)
    for index in order:
        item = items[index]
        if item.term is None or item.is_adjective:
            continue
        item.used = item.role == "word"
        if not item.denied:
            facts.say(item.term.says, item.text)
            facts.imply(item.term.implies)
            facts.note(item.term.note)
        elif not (index in described and item.target in LASTING):
            _read_denied(item, facts)


def _read_denied(item: Item, facts: Facts) -> None:
    assert item.term is not None
    if item.term.negated is None:
        facts.exclude(item.term.says)
    else:
        facts.say(item.term.negated, f"no {item.text}")


def _read_adjective(items: list[Item], index: int, facts: Facts, described: set[int]) -> None:
    item = items[index]
    assert item.term is not None
    target, thing = _described(items, index, item.term)
    if not target:
        return
    item.used = True
    if item.denied:
        if thing is None or target in LASTING or not items[thing].denied:
            facts.exclude(item.term.meanings[target])
            if thing is not None:
                described.add(thing)
        return
    facts.say(item.term.meanings[target], item.text)
    facts.note(item.term.note)


def _described(items: list[Item], index: int, term: Term) -> tuple[str, int | None]:
    """The target that an adjective describes and the item that names it; ("", None) when there is none."""
    searches = (_behind, _ahead) if _is_predicate(items, index) else (_ahead, _behind)
    for search in searches:
        target, thing = search(items, index)
        if target in term.meanings:
            return target, thing
    return term.alone, None


def _is_predicate(items: list[Item], index: int) -> bool:
    """Whether the adjective stands behind its thing: "hair is black", "eyes blue,"."""
    before = items[index - 1] if index > 0 else None
    after = items[index + 1] if index + 1 < len(items) else None
    if before is None:
        return False
    if before.role == "link":
        return after is None or not after.target
    return bool(before.target) and (after is None or after.role in ("and", "comma", "stop"))


def _ahead(items: list[Item], index: int) -> tuple[str, int | None]:
    unknown = 0
    for at in range(index + 1, len(items)):
        item = items[at]
        if item.target:
            return ("", None) if unknown and item.target == "person" else (item.target, at)
        if item.role == "unknown":
            unknown += 1
            if unknown > UNKNOWN_BETWEEN:
                break
        elif item.role in ("and", "comma"):
            after = items[at + 1] if at + 1 < len(items) else None
            if (
                after is None
                or after.role != "word"
                or (after.target and after.target == "person")
                or not _describes(after)
            ):
                break
        elif item.role not in ("word", "filler"):
            break
    return "", None


def _describes(item: Item) -> bool:
    return item.is_adjective or not item.target


def _behind(items: list[Item], index: int) -> tuple[str, int | None]:
    for at in range(index - 1, -1, -1):
        item = items[at]
        if item.target:
            return item.target, at
        if item.role == "wear":
            return "clothing", None
        if not (item.is_adjective or item.role in ("link", "and", "comma", "filler", "not")):
            break
    return "", None


def _nothing_understood(words: tuple[str, ...]) -> str:
    shown = ", ".join(f'"{word}"' for word in words[:SHOWN_WORDS])
    more = f" and {len(words) - SHOWN_WORDS} more" if len(words) > SHOWN_WORDS else ""
    return f'nothing in the prompt describes a person (not understood: {shown}{more}); try e.g. "{EXAMPLE}"'
