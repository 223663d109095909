"""Finds where a text has the terms of a query: the same words and character pairs that a lexical search compares."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from server.lexical.folding import aligned_fold
from server.lexical.tokens import places_of
from server.sections import sections

MOST_CHARACTERS = 10_000
"""Characters of a text that are searched, since longer titles and passages hardly occur."""

SEPARATOR = "\n"
"""Separates texts, so that no term spans two of them."""


def ranges_of(texts: Sequence[str], terms: NDArray[np.uint64]) -> list[NDArray[np.int32]]:
    """Returns for each text its ranges `[N, 2]` that have one of the terms, in code points.

    They ascend, and those that overlap or touch are merged. A range never divides a syllable or a letter with marks.
    `terms` ascend.
    """
    if not len(terms):
        return [np.zeros((0, 2), np.int32) for _ in texts]
    aligned = [aligned_fold(next(sections(text, characters=MOST_CHARACTERS))) for text in texts]
    places = places_of(SEPARATOR.join(each.text for each in aligned))
    found = np.flatnonzero(terms[terms.searchsorted(places.codes) % len(terms)] == places.codes)
    spans = np.stack((places.starts[found], places.ends[found]), axis=1).astype(np.int32)
    ranges = []
    first = 0
    for each in aligned:
        own = spans[(spans[:, 0] >= first) & (spans[:, 0] < first + len(each.text))]
        ranges.append(_merged(each.written(own - np.int32(first))))
        first += len(each.text) + len(SEPARATOR)
    return ranges


def _merged(spans: NDArray[np.int32]) -> NDArray[np.int32]:
    """Returns the union of spans as ascending spans with gaps between them."""
    if not len(spans):
        return spans
    spans = spans[np.argsort(spans[:, 0], kind="stable")]
    ends = np.maximum.accumulate(spans[:, 1])
    first = np.concatenate(([True], spans[1:, 0] > ends[:-1]))
    last = np.concatenate((first[1:], [True]))
    return np.stack((spans[first, 0], ends[last]), axis=1)
