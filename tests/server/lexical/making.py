"""Texts that share terms, and BM25 computed by its definition."""

import functools
import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from server.lexical.statistics import LENGTH_WEIGHT, SATURATION
from server.lexical.tokens import terms_of

words = st.sampled_from(
    ["card", "cards", "카드", "카드를", "적금", "적금을", "계좌", "a", "b", "🚗", "ㅋㅋ", "card-lost"]
)
texts = st.lists(words, max_size=12).map(" ".join)
documents = st.lists(st.lists(texts, max_size=3), max_size=12)


def bm25(documents: Sequence[Sequence[str]], query: str) -> list[float]:
    """Returns the scores of all documents, computed by the formula."""
    counted = [Counter(terms_of(["\n".join(document)])[0].tolist()) for document in documents]
    mean_length = max(sum(each.total() for each in counted) / max(len(counted), 1), 1.0)
    scores = []
    for terms in counted:
        score = 0.0
        for term, times in Counter(terms_of([query])[0].tolist()).items():
            having = sum(term in each for each in counted)
            rarity = math.log(1 + (len(counted) - having + 0.5) / (having + 0.5))
            length = 1 - LENGTH_WEIGHT + LENGTH_WEIGHT * terms.total() / mean_length
            score += times * rarity * (SATURATION + 1) * terms[term] / (terms[term] + SATURATION * length)
        scores.append(score)
    return scores


def sentences(count: int, *, seed: int = 0) -> list[list[str]]:
    """Returns documents of six made-up words each, with a frequency distribution as in a language."""
    vocabulary = made_up_words()
    shares = 1 / (np.arange(len(vocabulary)) + 10)
    places = np.random.default_rng(seed).choice(len(vocabulary), (count, 6), p=shares / shares.sum())
    return [[" ".join(vocabulary[place] for place in row)] for row in places.tolist()]


@functools.cache
def made_up_words() -> list[str]:
    random = np.random.default_rng(0)
    syllables = [chr(0xAC00 + 28 * place) for place in range(399)]
    drawn = random.integers(0, len(syllables), (20_000, 4)).tolist()
    sizes = random.integers(1, 5, len(drawn)).tolist()
    return ["".join(syllables[place] for place in places[:size]) for places, size in zip(drawn, sizes, strict=True)]
