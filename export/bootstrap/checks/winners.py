"""Asks for each title, text and example, and finds documents that never come first, or too often."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from export.bootstrap.checks.encoded import EncodedCatalogue, Rows
from export.bootstrap.checks.finding import Check, Finding, quoted
from server.catalogue.document import Field

AT_ONCE = 256
"""Queries that are compared with all vectors at a time."""

HUB_DOCUMENTS = 8
"""Least other documents of whose parts a hub comes first."""

MAGNET_DOCUMENTS = 3
"""Least other documents of whose titles and examples a magnet comes first."""


class Winners(NamedTuple):
    """For each part as a query, what comes first in DENSE mode.

    Attributes:
        whole: The part of the best vector, of all documents `[P]`.
        others: The same without the vectors of the asked part itself `[P]`; -1 if there are no others.
    """

    whole: Rows
    others: Rows


def winners(catalogue: EncodedCatalogue) -> Winners:
    """Searches for each part, with and without itself in the index. The time grows with the square of the parts."""
    parts = len(catalogue.parts)
    found = Winners(np.empty(parts, np.int64), np.full(parts, -1, np.int64))
    numbers = np.arange(parts)
    starts = np.searchsorted(catalogue.vector_parts, numbers)
    ends = np.searchsorted(catalogue.vector_parts, numbers, "right")
    for first in range(0, parts, AT_ONCE):
        scores = catalogue.queries[first : first + AT_ONCE] @ catalogue.matrix.T * catalogue.weights
        found.whole[first : first + AT_ONCE] = catalogue.vector_parts[scores.argmax(axis=1)]
        for row, part in enumerate(numbers[first : first + AT_ONCE].tolist()):
            scores[row, starts[part] : ends[part]] = -np.inf
        if scores.shape[1] > 1:
            found.others[first : first + AT_ONCE] = catalogue.vector_parts[scores.argmax(axis=1)]
    return found


def never_first(catalogue: EncodedCatalogue, found: Winners) -> Iterator[Finding]:
    """Yields a finding for each document that its own titles do not find, and for each that none of its parts finds.

    A title is asked for in the whole index. Of documents with several parts, each is asked for without itself.
    """
    of_document: defaultdict[int, list[int]] = defaultdict(list)
    for number, each in enumerate(catalogue.parts):
        of_document[each.document].append(number)
    owner = catalogue.part_documents
    for row, numbers in of_document.items():
        titles = [number for number in numbers if catalogue.parts[number].part.field is Field.TITLE]
        lost = [number for number in titles if owner[found.whole[number]] != row]
        if lost:
            winner = int(found.whole[lost[0]])
            yield _hidden(
                catalogue,
                row,
                winner,
                f"its {catalogue.parts[lost[0]].name} {quoted(catalogue.parts[lost[0]].part.text)} finds {{}} first",
                "make it a name that only this document has",
            )
        elif len(numbers) > 1 and all(owner[found.others[number]] != row for number in numbers):
            first = Counter(int(owner[found.others[number]]) for number in numbers).most_common(1)[0][0]
            winner = next(int(found.others[number]) for number in numbers if owner[found.others[number]] == first)
            yield _hidden(
                catalogue,
                row,
                winner,
                f"asked for with each of its {len(numbers)} titles, texts and examples, its others never come first; "
                "{} does",
                "say in its text, in its users' words, what only it does",
            )


def hubs(catalogue: EncodedCatalogue, found: Winners) -> Iterator[Finding]:
    """Yields a finding for each title or text that comes first for parts of many other documents, and each example."""
    owner = catalogue.part_documents
    attracted: defaultdict[int, list[int]] = defaultdict(list)
    for number, winner in enumerate(found.others.tolist()):
        if winner >= 0 and owner[winner] != owner[number]:
            attracted[winner].append(number)
    for winner, numbers in sorted(attracted.items(), key=lambda item: (-len(item[1]), item[0])):
        each = catalogue.parts[winner]
        is_example = each.part.field is Field.EXAMPLE
        # An example is like a query: the texts that it wins were no query of anyone.
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


def _hidden(catalogue: EncodedCatalogue, row: int, winner: int, problem: str, advice: str) -> Finding:
    other = catalogue.documents[catalogue.parts[winner].document]
    return Finding(
        check=Check.HIDDEN,
        documents=[catalogue.documents[row].id, other.id],
        problem=problem.replace("{}", f"the {catalogue.parts[winner].name} of {other.id}"),
        advice=advice,
    )
