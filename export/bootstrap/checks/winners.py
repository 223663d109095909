"""Asks for each title, text and example, and finds documents that never come first, or too often."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from export.bootstrap.checks.encoded import EncodedCatalogue, Rows, portions
from export.bootstrap.checks.finding import Check, Finding, quoted
from server.catalogue.document import Field

HIDDEN_RANK = 3
"""Least rank of a hidden document. Rank 2 is usual among services that are alike."""

HUB_DOCUMENTS = 8
"""Least other documents of whose parts a hub comes first."""

MAGNET_DOCUMENTS = 3
"""Least other documents of whose titles and examples a magnet comes first."""


class Winners(NamedTuple):
    """The results of each part as a query in DENSE mode.

    Attributes:
        whole: The part of the best vector, of all documents `[P]`.
        others: The same without the vectors of the asked part itself `[P]`.
        ranks: The rank of the part's document without these vectors, from 1 `[P]`; 0 if it has no others.
    """

    whole: Rows
    others: Rows
    ranks: Rows


def winners(catalogue: EncodedCatalogue) -> Winners:
    """Searches for each part, with and without itself in the index. The time grows with the square of the parts."""
    parts, owner = len(catalogue.parts), catalogue.part_documents
    found = Winners(*(np.zeros(parts, np.int64) for _ in Winners._fields))
    starts = np.searchsorted(catalogue.vector_parts, np.arange(parts))
    ends = np.searchsorted(catalogue.vector_parts, np.arange(parts), "right")
    documents = np.searchsorted(owner[catalogue.vector_parts], np.arange(len(catalogue.documents)))
    for portion in portions(parts, columns=len(catalogue.matrix)):
        asked = np.array(portion)
        scores = catalogue.queries[asked] @ catalogue.matrix.T
        scores *= catalogue.weights
        found.whole[asked] = catalogue.vector_parts[scores.argmax(axis=1)]
        for row, part in enumerate(asked.tolist()):
            scores[row, starts[part] : ends[part]] = -np.inf
        found.others[asked] = catalogue.vector_parts[scores.argmax(axis=1)]
        best = np.maximum.reduceat(scores, documents, axis=1)
        own = best[np.arange(len(asked)), owner[asked]]
        found.ranks[asked] = np.where(np.isinf(own), 0, 1 + (best > own[:, None]).sum(axis=1))
    return found


def never_first(catalogue: EncodedCatalogue, found: Winners) -> Iterator[Finding]:
    """Yields a finding for each document that its own titles do not find, then for those that no other part finds.

    A title is asked for in the whole index. Of documents with several parts, each is asked for without itself, and the
    document is found if it comes before `HIDDEN_RANK`; those that come last are first here.
    """
    owner = catalogue.part_documents
    lost: dict[int, int] = {}
    for number, each in enumerate(catalogue.parts):
        if each.part.field is Field.TITLE and owner[found.whole[number]] != each.document:
            lost.setdefault(each.document, number)
    for row, number in lost.items():
        part, winner = catalogue.parts[number], int(found.whole[number])
        yield Finding(
            check=Check.HIDDEN,
            documents=[catalogue.documents[row].id, _document_of(catalogue, winner)],
            problem=f"its {part.name} {quoted(part.part.text)} finds {_named(catalogue, winner)} first",
            advice="make it a name that only this document has",
        )
    best: dict[int, int] = {}
    for number, row in enumerate(owner.tolist()):
        if found.ranks[number] and (row not in best or found.ranks[number] < found.ranks[best[row]]):
            best[row] = number
    hidden = [(row, number) for row, number in best.items() if found.ranks[number] >= HIDDEN_RANK and row not in lost]
    for row, number in sorted(hidden, key=lambda each: (-found.ranks[each[1]], each[0])):
        winner = int(found.others[number])
        yield Finding(
            check=Check.HIDDEN,
            documents=[catalogue.documents[row].id, _document_of(catalogue, winner)],
            problem=f"none of its titles, texts and examples finds it by the others: it comes at rank "
            f"{found.ranks[number]} at best, {_named(catalogue, winner)} first",
            advice="say in its text, in its users' words, what only it does",
        )


def hubs(catalogue: EncodedCatalogue, found: Winners) -> Iterator[Finding]:
    """Yields a finding for each title or text that comes first for parts of many other documents, and each example."""
    owner = catalogue.part_documents
    attracted: defaultdict[int, list[int]] = defaultdict(list)
    for number, winner in enumerate(found.others.tolist()):
        if owner[winner] != owner[number]:
            attracted[winner].append(number)
    for winner, numbers in sorted(attracted.items(), key=lambda item: (-len(item[1]), item[0])):
        each = catalogue.parts[winner]
        is_example = each.part.field is Field.EXAMPLE
        # An example is like a query: no user has typed the texts that it wins.
        won = [number for number in numbers if not is_example or catalogue.parts[number].part.field is not Field.TEXT]
        rows = list(dict.fromkeys(int(owner[number]) for number in won))
        if len(rows) < (MAGNET_DOCUMENTS if is_example else HUB_DOCUMENTS):
            continue
        yield Finding(
            check=Check.MAGNET if is_example else Check.HUB,
            documents=[catalogue.documents[each.document].id, *(catalogue.documents[row].id for row in rows)],
            problem=f"its {each.name} {quoted(each.part.text)} comes first for parts of {len(rows)} other documents",
            advice="make the example more specific, or delete it" if is_example else "say what only this document does",
        )


def _named(catalogue: EncodedCatalogue, part: int) -> str:
    return f"the {catalogue.parts[part].name} of {_document_of(catalogue, part)}"


def _document_of(catalogue: EncodedCatalogue, part: int) -> str:
    return catalogue.documents[catalogue.parts[part].document].id
