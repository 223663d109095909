"""Noun phrases of texts: by rules, or for Korean by Kiwi, an analyser of morphemes."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from export.bootstrap.synthetic.english import STOP_WORDS
from export.bootstrap.synthetic.particles import WORD as KOREAN
from export.bootstrap.synthetic.particles import without_particle
from export.bootstrap.synthetic.words import words_of
from export.evaluation.systems.terms import open_kiwi
from server.lexical.tokens import fold

if TYPE_CHECKING:
    from kiwipiepy import Token

Phrases = Callable[[str], list[str]]
"""Returns the noun phrases of a text, in their order."""

MOST_WORDS = 3
"""Words of the longest phrase."""

BETWEEN = re.compile(r"[^\w\s%&+'’-]|\n")
"""A character that ends a phrase."""

VERB_ENDINGS = re.compile(r"([요다죠면고서며려지게니는은을한할된될던해돼아어여까인]|거나|이나|내가|제가|네가)$")
"""Ends of Korean words that are probably verbs, or have no meaning."""

UNITS = frozenset(
    words_of("때 후 전 개 원 번 년 월 일 달 명 곳 건 회 것 수 등 및 또 그 이 저 더 안 못 잘 꼭 다 또는 모든")
)
"""Words that a phrase does not begin with."""

NOUN_TAGS = ("NNG", "NNP", "SL", "SN", "XR", "XSN")
"""Tags of the morphemes of noun phrases: nouns, Latin letters, numbers, roots, and endings of nouns."""

NOUNS = ("NNG", "NNP", "SL", "XR")
"""Tags of those that a phrase needs at least one of."""


def phrases_by_rules(text: str) -> list[str]:
    """Returns noun phrases without a dictionary.

    In Korean, a phrase ends with a word that has a particle, and has the words before it that have none and do not end
    like a verb (이번 달 전기요금을). In other languages it is what is between two words without a meaning.
    """
    found = []
    for part in BETWEEN.split(text):
        words = part.split()
        if KOREAN.search(part):
            found += _korean(words)
        else:
            runs = groupby(words, key=lambda word: word.lower() not in STOP_WORDS)
            found += [" ".join(list(run)[-MOST_WORDS:]) for has_meaning, run in runs if has_meaning]
    return found


def phrases_by_kiwi() -> Phrases:
    """Returns a way to find noun phrases by the morphemes of Kiwi. Raises ExportError if it is not installed."""
    kiwi = open_kiwi("--phrases kiwi")

    def phrases(text: str) -> list[str]:
        if KOREAN.search(text) is None:
            return phrases_by_rules(text)
        found: list[str] = []
        run: list[Token] = []
        for token in [*kiwi.tokenize(text), None]:
            gap = text[run[-1].start + run[-1].len : token.start] if run and token else ""
            if token is not None and token.tag in NOUN_TAGS and (not run or not gap.strip()) and "\n" not in gap:
                run.append(token)
                continue
            if any(each.tag in NOUNS for each in run):
                found.append(" ".join(text[run[0].start : run[-1].start + run[-1].len].split()[-MOST_WORDS:]))
            run = [token] if token is not None and token.tag in NOUN_TAGS else []
        return found

    return phrases


class Distinctive:
    """Chooses those phrases of a text that few texts of the catalogue have."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Counts in how many texts each pair of neighbouring characters is, so that particles do not matter."""
        self._counts: Counter[str] = Counter()
        self._texts = 0
        for text in texts:
            self._texts += 1
            self._counts.update(set(_terms(text)))

    def best(self, phrases: Sequence[str], *, most: int) -> list[str]:
        """Returns the most distinctive phrases, at most `most`; of equal ones the first."""
        distinct = list(dict.fromkeys(phrases))
        return sorted(distinct, key=self._weight, reverse=True)[:most]

    def _weight(self, phrase: str) -> float:
        """Returns the mean weight of the terms of a phrase, more for two words than for one."""
        terms = _terms(phrase)
        weights = [math.log((1 + self._texts) / (1 + self._counts[term])) for term in terms]
        return sum(weights) / len(weights) * min(len(phrase.split()), 2) ** 0.5 if weights else 0.0


def _korean(words: Sequence[str]) -> list[str]:
    found, run = [], list[str]()
    for word in words:
        stem = without_particle(word)
        if stem != word and not VERB_ENDINGS.search(stem):
            found.append(" ".join([*run, stem][-MOST_WORDS:]))
            run = []
        elif stem != word or VERB_ENDINGS.search(word):
            run = []
        elif run or word not in UNITS:
            run.append(word)
    if run:
        found.append(" ".join(run[-MOST_WORDS:]))
    return found


def _terms(text: str) -> list[str]:
    """Returns pairs of neighbouring letters of Korean words, and whole words of other scripts."""
    found: list[str] = []
    for word in re.findall(r"[^\W_]+", fold(text)):
        if KOREAN.search(word) and len(word) > 1:
            found += [word[at : at + 2] for at in range(len(word) - 1)]
        else:
            found.append(word)
    return found
