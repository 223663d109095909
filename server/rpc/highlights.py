"""Builds the highlights of hits, with ranges in the unit that the caller asks for."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chaja.v1 import Highlights, TextRange, TextUnit
from server.lexical.highlights import ranges_of


class Highlighting(NamedTuple):
    """The query whose words are highlighted, and the number of the `TextUnit` of the ranges."""

    query: str
    unit: int


def highlights_of(title: str, passage: str, terms: NDArray[np.uint64], unit: int) -> Highlights:
    """Returns the highlights of a hit; `terms` are those of the query, ascending."""
    in_title, in_passage = ranges_of([title, passage], terms)
    return Highlights(
        title=text_ranges(title, in_title, unit),
        passage=passage,
        passage_ranges=text_ranges(passage, in_passage, unit),
    )


def text_ranges(text: str, ranges: NDArray[np.integer], unit: int) -> Sequence[TextRange]:
    """Returns ranges `[N, 2]` of a text, which ascend and are in code points, in a unit."""
    if not len(ranges):
        return []
    searched = text[: ranges[-1, 1]]  # A title may be very long.
    return [TextRange(start=start, end=end) for start, end in _positions(searched, unit)[ranges].tolist()]


def _positions(text: str, unit: int) -> NDArray[np.int64]:
    """Returns the position of each code point in a unit, and that of the end."""
    points = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    widths = np.ones(len(points), np.int64)
    if unit == TextUnit.TEXT_UNIT_UTF16:
        widths += points > 0xFFFF
    elif unit == TextUnit.TEXT_UNIT_UTF8:
        widths += (points > 0x7F).astype(np.int64) + (points > 0x7FF) + (points > 0xFFFF)
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(widths)))
