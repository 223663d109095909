"""Turns sheets into labelled queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from export.bootstrap.sheets.reading import Pair, Sheet
from export.bootstrap.synthetic.making import OTHER
from export.errors import ExportError
from export.labelled_queries import LabelledQuery
from export.text import some_of
from server.ranking.language import language_of


class Labelled(NamedTuple):
    """The result of sheets.

    Attributes:
        queries: The queries with the documents that answer them.
        undecided: Pairs that as many sheets say yes to as no; their queries are left out.
        unanswered: Queries that no document answers.
        incomplete: Queries left out because no sheet has a label for some document.
    """

    queries: list[LabelledQuery]
    undecided: list[Pair]
    unanswered: list[str]
    incomplete: list[str]


def labelled(sheets: Sequence[Sheet], *, partial: bool) -> Labelled:
    """Returns the labelled queries: a document answers a query if more sheets say yes than no.

    Raises:
        ExportError: A sheet has a row without a label, unless `partial`; the error names file and line.
    """
    if not partial:
        for sheet in sheets:
            _check_complete(sheet)
    votes: dict[Pair, list[bool]] = {}
    for sheet in sheets:
        for pair, label in sheet.labels.items():
            votes.setdefault(pair, []).extend([] if label.answers is None else [label.answers])
    by_query: dict[str, list[Pair]] = {}
    for pair in votes:
        by_query.setdefault(pair.query, []).append(pair)
    found = Labelled([], [], [], [])
    for query, pairs in by_query.items():
        undecided = [pair for pair in pairs if votes[pair] and 2 * sum(votes[pair]) == len(votes[pair])]
        relevant = [pair.document_id for pair in pairs if 2 * sum(votes[pair]) > len(votes[pair])]
        if not all(votes[pair] for pair in pairs):
            found.incomplete.append(query)
        elif undecided:
            found.undecided.extend(undecided)
        elif not relevant:
            found.unanswered.append(query)
        else:
            language = language_of(query) or OTHER
            found.queries.append(LabelledQuery(query=query, language=language, relevant=sorted(relevant)))
    return found


def _check_complete(sheet: Sheet) -> None:
    if empty := sheet.empty:
        lines = some_of([str(sheet.labels[pair].line) for pair in empty])
        raise ExportError(
            f"{sheet.path}:{sheet.labels[empty[0]].line}: no label; {len(empty):,} of {len(sheet.labels):,} rows have "
            f"none (lines {lines}): fill them, or set --partial"
        )
