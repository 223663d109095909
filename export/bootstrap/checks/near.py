"""Finds documents that are nearly the same for the model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from export.bootstrap.checks.encoded import EncodedCatalogue, Rows, portions
from export.bootstrap.checks.finding import Check, Finding, quoted
from server.catalogue.document import Document, Field
from server.lexical.tokens import fold

NEAR = 0.85
"""Least cosine of near duplicates. With the default model, different services of the sample have at most .81."""

MOST_WORDS = 4


class Pair(NamedTuple):
    """Two documents, by row, and the best cosine of a field."""

    cosine: float
    first: int
    second: int


def near_duplicates(catalogue: EncodedCatalogue, *, near: float) -> Iterator[Finding]:
    """Yields a finding for each two documents that are near in every field that both have, the nearest first.

    Titles are compared with titles and texts with texts, by their nearest passages and across languages. Documents that
    have neither in common, and exact duplicates, are not compared.
    """
    by_field = {field: _near(catalogue, field, near) for field in (Field.TITLE, Field.TEXT)}
    has = {field: {catalogue.parts[part].document for part in _parts(catalogue, field)} for field in by_field}
    pairs = []
    for rows in {rows for found in by_field.values() for rows in found}:
        both = [field for field in by_field if has[field].issuperset(rows)]
        known = {field: by_field[field][rows] for field in both if rows in by_field[field]}
        if len(known) == len(both):
            pairs.append((min(known.values()), rows, known))
    for cosine, (first, second), cosines in sorted(pairs, key=lambda pair: (-pair[0], pair[1])):
        one, other = catalogue.documents[first], catalogue.documents[second]
        if _text(one) == _text(other):
            continue
        values = ", ".join(f"{field.value}s {value:.2f}" for field, value in cosines.items())
        yield Finding(
            check=Check.NEAR_DUPLICATE,
            documents=[one.id, other.id],
            problem=f"{quoted(one.title_in(''))} and {quoted(other.title_in(''))} have cosine {values}"
            f"{_difference(one, other)}",
            advice="keep one of them, or write into both what only they do",
            cosine=round(cosine, 4),
        )


def _near(catalogue: EncodedCatalogue, field: Field, near: float) -> dict[tuple[int, int], float]:
    """Returns the best cosine of a field of each two documents that have `near` or more, by their rows, ascending."""
    places = catalogue.vectors_of(field)
    owners = catalogue.part_documents[catalogue.vector_parts[places]]
    vectors = catalogue.directions[places]
    best: dict[tuple[int, int], float] = {}
    for portion in portions(len(places), columns=len(places)):
        start = portion.start
        cosines = vectors[start : portion.stop] @ vectors[start:].T
        for row, column in np.argwhere(cosines >= near).tolist():
            rows = int(owners[start + row]), int(owners[start + column])
            if rows[0] < rows[1]:  # The documents are in order, and so are the rows of their vectors.
                best[rows] = max(best.get(rows, -1.0), float(cosines[row, column]))
    return best


def _parts(catalogue: EncodedCatalogue, field: Field) -> Rows:
    return np.unique(catalogue.vector_parts[catalogue.vectors_of(field)])


def _difference(one: Document, other: Document) -> str:
    """Returns the first words that only one of the documents has, as the end of a sentence."""
    words = [dict.fromkeys(fold(_text(each)).split()) for each in (one, other)]
    only = [[word for word in words[side] if word not in words[1 - side]][:MOST_WORDS] for side in (0, 1)]
    said = [f"only {each.id} has {', '.join(own)}" for each, own in zip((one, other), only, strict=True) if own]
    return f" ({'; '.join(said)})" if said else ""


def _text(document: Document) -> str:
    return "\n".join([*document.titles().values(), *document.texts().values()])
