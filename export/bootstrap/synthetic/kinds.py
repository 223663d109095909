"""The kinds of synthetic queries, and the rules that make them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from export.bootstrap.synthetic import endings, english
from export.bootstrap.synthetic.particles import OBJECT, SUBJECT, TOPIC, with_particle, without_particle
from export.bootstrap.synthetic.phrases import Distinctive, Phrases

SENTENCE_END = re.compile(r"(?<=[.!?…。])\s+|\n+")

KOREAN_WORDS, ENGLISH_WORDS = 8, 12
"""Words of the longest query that is made of a sentence."""

CLAUSE_END = re.compile(r"(?<=[,;:])\s+")


class Source(NamedTuple):
    """A title or a text of a document, and what rules need to know of the catalogue.

    Attributes:
        text: The title or the text.
        korean: Whether it is Korean.
        phrases: Finds noun phrases.
        distinctive: Chooses between them.
        most: Maximum queries that a rule is to make.
    """

    text: str
    korean: bool
    phrases: Phrases
    distinctive: Distinctive
    most: int


class Kind(NamedTuple):
    """A kind of queries: what it is made from, and its rule.

    Attributes:
        of_titles: Whether titles are its source; else texts.
        make: Returns queries for a source, the best first.
    """

    of_titles: bool
    make: Callable[[Source], Sequence[str]]


def _unspaced(source: Source) -> list[str]:
    return ["".join(source.text.split())] if source.korean and " " in source.text.strip() else []


def _keywords(source: Source) -> list[str]:
    found = " ".join(_content_words(source))
    return [found] if found != source.text else []


def _parts(source: Source) -> list[str]:
    words = _content_words(source)
    return [" ".join(words[:-1]), " ".join(words[1:])] if len(words) > 1 else []


def _content_words(source: Source) -> list[str]:
    words = source.text.split()
    return [without_particle(word) for word in words] if source.korean else english.content_words(words)


def _questions(source: Source) -> list[str]:
    title = source.text
    if not source.korean:
        return english.questions(title)
    if (stem := endings.verb_stem(title)) is not None:
        return [endings.how_to(stem), endings.way_to(stem), f"{stem}고 싶어"]
    return [
        f"{title} 어떻게 해?",
        f"{with_particle(title, TOPIC)} 어디서 해요?",
        f"{with_particle(title, SUBJECT)} 뭐예요?",
        f"{with_particle(title, OBJECT)} 찾고 있어요",
    ]


def _phrases(source: Source) -> list[str]:
    return source.distinctive.best(source.phrases(source.text), most=source.most)


def _sentences(source: Source) -> list[str]:
    sentences = [each for each in SENTENCE_END.split(source.text.strip()) if each.strip()]
    if source.korean:
        return [endings.as_query(_end_of(each)) for each in sentences]
    return [english.as_query(_beginning_of(each)) for each in sentences]


def _end_of(sentence: str) -> str:
    """Returns the last clause of a long sentence, or its last words: a Korean one ends with its verb."""
    clause = CLAUSE_END.split(sentence)[-1] if len(sentence.split()) > KOREAN_WORDS else sentence
    words = (clause if len(clause.split()) > 1 else sentence).split()
    return " ".join(words[-KOREAN_WORDS:])


def _beginning_of(sentence: str) -> str:
    """Returns the first clause of a long sentence, or its first words."""
    clause = CLAUSE_END.split(sentence)[0] if len(sentence.split()) > ENGLISH_WORDS else sentence
    words = (clause if len(clause.split()) > 1 else sentence).split()[:ENGLISH_WORDS]
    while len(words) > 1 and words[-1].strip(",;:") in english.STOP_WORDS:
        words.pop()
    return " ".join(words).rstrip(",;:")


KINDS = {
    "title": Kind(True, lambda source: [source.text]),
    "unspaced": Kind(True, _unspaced),
    "keywords": Kind(True, _keywords),
    "part": Kind(True, _parts),
    "question": Kind(True, _questions),
    "phrase": Kind(False, _phrases),
    "sentence": Kind(False, _sentences),
}
"""The kinds by name: the title as it is, without spaces, without particles and words without a meaning, without its
last or first word, in a question; phrases of the text, and its sentences as a user would ask for them."""
