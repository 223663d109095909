"""Merges the suggestions of several parts of an index into those of the whole."""

from collections.abc import Iterable
from typing import NamedTuple

from server.suggest.completion import Suggestion
from server.suggest.view import PartSuggestion, key_of


class Placed(NamedTuple):
    """A suggestion of a part, with the sequence and the id of its document, which orders equal ranks."""

    part: PartSuggestion
    sequence: int
    document_id: str


def merged_suggestions(found: Iterable[Placed], *, limit: int) -> list[tuple[Suggestion, str]]:
    """Returns the first `limit` different suggestions of all parts, each with the id of its document."""
    stages: dict[int, list[Placed]] = {}
    for each in found:
        stages.setdefault(each.part.order.stage, []).append(each)
    best: dict[str, tuple[Suggestion, str]] = {}
    any_before = False
    for _, placed in sorted(stages.items()):
        if any_before and not placed[0].part.always:
            continue
        any_before = True
        errors = min(each.part.order.errors for each in placed)  # Two errors count only if nothing fits with one.
        for each in sorted(placed, key=_place):
            key = key_of(each.part.suggestion.text)
            if each.part.order.errors == errors and key not in best:
                best[key] = each.part.suggestion, each.document_id
                if len(best) == limit:
                    return list(best.values())
    return list(best.values())


def _place(placed: Placed) -> tuple[object, ...]:
    stage, _, by_initials, order, number, start = placed.part.order
    return stage, by_initials, order, placed.sequence, number, start
