"""A vocabulary in memory: the words, pairs and texts of a list of texts, found by comparing with each."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from server.korean.jamo import initials, letters
from server.readings.vocabulary import Completion


class Texts:
    """The vocabulary of texts, which are completions in their order."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts
        self.words = {word for text in texts for word in re.findall(r"\w+", text.lower())}
        self.pairs = {pair for word in self.words for pair in pairwise(word)}
        self.calls = 0

    def has_words(self, words: Sequence[str]) -> list[bool]:
        self.calls += 1
        return [word in self.words for word in words]

    def document_counts(self, words: Sequence[str]) -> list[int]:
        self.calls += 1
        found = Counter(word for text in self.texts for word in set(re.findall(r"\w+", text.lower())))
        return [found[word] for word in words]

    def has_title(self, text: str) -> bool:
        self.calls += 1
        return text in self.texts

    def pair_shares(self, words: Sequence[str]) -> list[float]:
        self.calls += 1
        return [sum(pair in self.pairs for pair in pairwise(word)) / max(len(word) - 1, 1) for word in words]

    def complete(self, text: str, *, limit: int) -> list[Completion]:
        self.calls += 1
        typed = "".join(text.split()).lower()
        found = [each for each in self.texts if any(_begins(rest, typed) for rest in _rests(each))]
        return [Completion(each, 1 / place) for place, each in enumerate(found[:limit], start=1)]


def _rests(text: str) -> Iterator[str]:
    words = re.findall(r"\w+", text.lower())
    return ("".join(words[first:]) for first in range(len(words)))


def _begins(text: str, typed: str) -> bool:
    return letters(text).startswith(letters(typed)) or initials(text).startswith(typed)
