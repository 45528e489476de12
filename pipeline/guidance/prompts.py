"""What the text encoder is told: which words go with which crop, each encoded once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from pipeline.guidance.shot import Direction, Region, Shot
from pipeline.priors.procedural.facts import Facts
from pipeline.priors.procedural.prompt import deny, read_facts, read_phrases, tokenise
from pipeline.stages.config import RefinementConfig

Encode = Callable[[list[str]], Tensor]
"""Texts to embeddings (B,L,D)."""
NULL = ""
"""The text that says nothing."""
REGION_WORDS: dict[Region, str] = {
    "eye_left": "left eye region",
    "eye_right": "right eye region",
    "mouth": "mouth region",
}
"""Small crops: of them the ControlNet was trained with gender and age alone, more words make them worse."""
DIRECTIONS: tuple[Direction, ...] = ("front", "side", "back")
CHILD_YEARS, YOUNG_YEARS, MIDDLE_YEARS, OLD_YEARS = 14, 20, 36, 60
"""Ages at which one is called a teenager, young, middle-aged and old."""
FEMALE_FROM, MALE_TO = 0.6, 0.4
"""Gender between them, 0 male and 1 female, is named "person"."""


@dataclass(frozen=True)
class PromptBatch:
    """Embeddings of one text per row."""

    positive: Tensor
    """(B,L,D) what the crop shows."""
    negative: Tensor
    """(B,L,D) what it should not look like."""
    null: Tensor
    """(B,L,D) of the empty text."""

    def __getitem__(self, rows: slice) -> PromptBatch:
        return PromptBatch(self.positive[rows], self.negative[rows], self.null[rows])


class PromptTable:
    """The texts of one person's refinement and their embeddings."""

    def __init__(
        self,
        encode: Encode,
        prompt: str,
        abstract: str | None = None,
        view_words: Literal["before", "after"] = "before",
    ) -> None:
        """
        Args:
            encode: texts to embeddings (B,L,D), all of one length.
            prompt: the whole sentence.
            abstract: gender and age alone, for small crops; `abstract_prompt` of the prompt when None.
            view_words: "front view a man" as AnimPortrait3D, or "a man, front view" as HeadStudio.
        """
        self.prompt = prompt
        self.abstract = abstract_prompt(prompt) if abstract is None else abstract
        self._encode: Encode | None = encode
        self._view_words = view_words
        self._embeds: dict[str, Tensor] = {}

    def text(self, region: Region, direction: Direction, named_views: bool) -> str:
        """What a crop is said to show."""
        if region in REGION_WORDS:
            return f"{REGION_WORDS[region]}, {self.abstract}"
        if not named_views:
            return self.prompt
        return f"{direction} view {self.prompt}" if self._view_words == "before" else f"{self.prompt}, {direction} view"

    def all_texts(self, config: RefinementConfig) -> list[str]:
        """Every text that a refinement may ask for, once."""
        return list(dict.fromkeys(self._texts(config)))

    def _texts(self, config: RefinementConfig) -> Iterator[str]:
        yield NULL
        for phase in config.phases:
            yield phase.negative
            for region in phase.regions:
                for direction in DIRECTIONS:
                    yield self.text(region, direction, phase.named_views)

    def encode_all(self, config: RefinementConfig) -> None:
        """Encode every text of a refinement and let go of the text encoder, whose memory is wanted elsewhere."""
        self._look_up(self.all_texts(config))
        self._encode = None

    def batch(self, shots: Sequence[Shot], negative: str, named_views: bool) -> PromptBatch:
        """Embeddings for shots, one row each.

        Raises `KeyError` for a text that was not encoded before the encoder was let go.
        """
        texts = [self.text(shot.region, shot.direction, named_views) for shot in shots]
        return PromptBatch(*map(self._look_up, (texts, [negative] * len(texts), [NULL] * len(texts))))

    def _look_up(self, texts: Sequence[str]) -> Tensor:
        new = [text for text in dict.fromkeys(texts) if text not in self._embeds]
        if new and self._encode is not None:
            with torch.no_grad():
                self._embeds.update(zip(new, self._encode(new), strict=True))
        return torch.stack([self._embeds[text] for text in texts])


def abstract_prompt(prompt: str) -> str:
    """Gender and age of a prompt and nothing else, as far as it says or implies them: "a young woman", "an old man".

    "a person" when it says neither.
    """
    items = read_phrases(tokenise(prompt))
    deny(items)
    facts = Facts()
    read_facts(items, facts)
    return person_words(_middle(facts.get("gender")), _middle(facts.get("age")))


def person_words(gender: float | None, age: float | None) -> str:
    """Somebody named by gender, 0 male to 1 female, and age in years; None is not told."""
    is_child = age is not None and age < YOUNG_YEARS
    female, male, neither = ("girl", "boy", "child") if is_child else ("woman", "man", "person")
    noun = neither
    if gender is not None:
        noun = female if gender >= FEMALE_FROM else male if gender <= MALE_TO else neither
    word = _age_word(age)
    if word == "teenage" and noun == "child":
        word, noun = "", "teenager"
    words = f"{word} {noun}".strip()
    return f"an {words}" if words[0] in "aeiou" else f"a {words}"


def _age_word(age: float | None) -> str:
    if age is None or age < CHILD_YEARS:
        return ""
    ends: Iterable[tuple[int, str]] = (
        (YOUNG_YEARS, "teenage"), (MIDDLE_YEARS, "young"), (OLD_YEARS, "middle-aged"),
    )  # fmt: skip
    return next((word for end, word in ends if age < end), "old")


def _middle(said: float | tuple[float, float] | None) -> float | None:
    """A number, or the middle of a range."""
    return (said[0] + said[1]) / 2 if isinstance(said, tuple) else said
