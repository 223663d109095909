"""The queries that are replayed, and the documents that answer them where that is known.

They come from the feedback of a store, or from a JSONL file: of queries, or a log of the server in JSON with texts.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from server.catalogue.feedback import FeedbackLog
from server.catalogue.jsonl import read_jsonl
from server.encoding.normalisation import normalised
from server.errors import CatalogueError, StoreError
from server.feedback.policy import Policy, judge, without_case_and_end_marks

NO_TEXTS = (
    "has no queries: a log has them only with --log-format json, --log-texts on and --slow-query-seconds above 0; "
    'else write lines such as {"query": "…"}'
)


class Recording(NamedTuple):
    """A query that users typed.

    Attributes:
        text: The query, normalised.
        language: Its language code; empty if it is not known.
        times: The number of users who typed it, or of lines that have it.
        relevant: The ids of the documents that answer it; empty if that is not known.
    """

    text: str
    language: str = ""
    times: int = 1
    relevant: frozenset[str] = frozenset()

    @property
    def key(self) -> str:
        """A form that is the same for all ways to write the query."""
        return without_case_and_end_marks(self.text)


class Recordings(NamedTuple):
    """Recordings, the most frequent first, and the number of those that were left out because there are too many."""

    chosen: list[Recording]
    left_out: int = 0


class _Query(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line of a file of queries. `kind` is that of `python -m export bootstrap queries`."""

    query: str
    relevant: list[str] = []
    language: str = ""
    kind: str = ""


class _LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a log. Only some have a query."""

    query: str | None = None
    logger: str | None = None


def read_recordings(path: Path, *, known: Collection[str], most: int) -> Recordings:
    """Reads a file; equal queries become one.

    Raises CatalogueError if the file cannot be read or has no query, or if a line is wrong or names a document that is
    not `known`.
    """
    found: dict[str, Recording] = {}
    for number, line in _lines(path):
        text = normalised(line.query)
        if not text:
            raise CatalogueError(f"{path}:{number}: query is blank")
        for id in line.relevant:
            if id not in known:
                raise CatalogueError(f"{path}:{number}: unknown document {id!r}: it is in none of the catalogues")
        before = found.get(text, Recording(text, times=0))
        found[text] = Recording(
            text, before.language or line.language, before.times + 1, before.relevant.union(line.relevant)
        )
    if not found:
        raise CatalogueError(f"{path} {NO_TEXTS}")
    return _chosen(found, most)


def _lines(path: Path) -> Iterator[tuple[int, _Query]]:
    """Yields the queries of a file with the numbers of their lines. It is a log if its first line has a logger."""
    first = next(read_jsonl(path, _LogLine), None)
    if first is None or first[1].logger is None:
        yield from read_jsonl(path, _Query)
        return
    for number, line in read_jsonl(path, _LogLine):
        if line.logger is None:
            raise CatalogueError(f"{path}:{number}: logger is missing: the file begins as a log, so all lines need one")
        if line.query is not None:
            yield number, _Query(query=line.query)


def recorded_feedback(log: FeedbackLog, *, known: Collection[str], min_users: int, most: int) -> Recordings:
    """Reads the feedback of a store. The documents that users have confirmed for a query answer it, as for `learn`.

    Raises StoreError if there is no feedback.
    """
    judged = judge(log.evidence(), log.shown(), Policy(min_users=min_users))
    confirmed = {
        without_case_and_end_marks(each.query): each.document_id
        for each in judged.confirmed
        if each.document_id in known
    }
    found: dict[str, Recording] = {}
    for query, users in log.queries().items():
        if text := normalised(query):
            right = confirmed.get(without_case_and_end_marks(query))
            times = users + (found[text].times if text in found else 0)
            found[text] = Recording(text, times=times, relevant=frozenset(() if right is None else (right,)))
    if not found:
        raise StoreError("the store has no feedback, and so no queries: set --queries to a file of queries")
    return _chosen(found, most)


def _chosen(found: Mapping[str, Recording], most: int) -> Recordings:
    ordered = sorted(found.values(), key=lambda each: -each.times)  # Of equally frequent ones, the first of the file.
    return Recordings(ordered[:most], max(0, len(ordered) - most))
