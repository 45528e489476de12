"""The words that a prompt may use."""

from __future__ import annotations

from pipeline.priors.procedural.terms import Words
from pipeline.priors.procedural.words_adjectives import words_adjectives
from pipeline.priors.procedural.words_looks import words_looks
from pipeline.priors.procedural.words_people import words_people

VOCABULARY: Words = {**words_people(), **words_looks(), **words_adjectives()}
LONGEST_PHRASE = max(len(phrase) for phrase in VOCABULARY)
