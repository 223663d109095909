"""Labels as a text for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from export.bootstrap.sheets.agreement import agreement
from export.bootstrap.sheets.cells import visible
from export.bootstrap.sheets.labels import Labelled
from export.bootstrap.sheets.reading import Pair, Sheet

MOST_LINES = 20
"""Most disagreements, or queries without an answer, to print."""


def as_text(found: Labelled, sheets: Sequence[Sheet]) -> str:
    """Returns the agreement of each two sheets, what is left out and why, and the number of labelled queries."""
    lines = [_agreement(one, other) for one, other in combinations(sheets, 2)]
    lines += _listed(
        "left out, since as many say yes as no: settle it in one of the sheets",
        [_place(pair, sheets) for pair in found.undecided],
    )
    lines += _listed("left out, since not all rows have a label", [visible(each) for each in found.incomplete])
    lines += _listed(
        "left out, since no document of the sheet answers it: is a service missing, or badly described?",
        [visible(each) for each in found.unanswered],
    )
    documents = {id for each in found.queries for id in each.relevant}
    return "\n".join([*lines, f"{len(found.queries):,} labelled queries, {len(documents):,} documents"])


def _agreement(one: Sheet, other: Sheet) -> str:
    each = agreement(one, other)
    if not each.pairs:
        return f"{one.path} and {other.path} have no labelled rows in common"
    kappa = "undefined: both have only one label" if each.kappa is None else f"{each.kappa:.2f}"
    return f"{one.path} and {other.path} agree on {each.share:.1%} of {each.pairs:,} rows, kappa {kappa}"


def _place(pair: Pair, sheets: Sequence[Sheet]) -> str:
    """Returns a pair and its lines."""
    places = [f"{sheet.path}:{sheet.labels[pair].line}" for sheet in sheets if pair in sheet.labels]
    return f"{visible(pair.query)} | {visible(pair.document_id)} ({', '.join(places)})"


def _listed(title: str, entries: Sequence[str]) -> list[str]:
    if not entries:
        return []
    more = [f"  … and {len(entries) - MOST_LINES:,} more"] if len(entries) > MOST_LINES else []
    return [f"{title} ({len(entries):,}):", *(f"  {each}" for each in entries[:MOST_LINES]), *more]
