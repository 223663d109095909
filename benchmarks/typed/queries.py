"""The set of typed queries: made by rules from the titles and example queries of a catalogue, and from `by_hand.jsonl`.

Each document gives one query of each kind that suits one of its texts. The choice of text and form depends on the kind
and the document's id alone, so a change of one document leaves the queries of the others.

The set has two halves, split by a hash of the meant text: parameters are chosen on one, and the other judges. Forms of
one text are in the same half: a parameter that fits one form often fits the others.
"""

import hashlib
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec

from benchmarks.typed.kinds import CLIPPINGS, KINDS, OWN_WORDS, Kind
from server.catalogue.document import Document, Field, parts_of
from server.catalogue.jsonl import read_jsonl
from server.errors import CatalogueError

BY_HAND = Path(__file__).with_name("by_hand.jsonl")


class TypedQuery(NamedTuple):
    """A query as typed.

    Attributes:
        kind: The name of its kind.
        text: The query.
        meant: The same query without slips, slang and shortened words.
        relevant: Ids of the documents that answer it.
        is_ambiguous: Whether the typed form has more answers than the meant text.
        judges: Whether it is in the half that judges; the other half chooses.
    """

    kind: str
    text: str
    meant: str
    relevant: frozenset[str]
    is_ambiguous: bool
    judges: bool


class HandWritten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line of `by_hand.jsonl`: a query, and ids of the documents that answer it.

    A query with `meant`, the same in words of the catalogue, has slang or a shortened word.
    """

    query: Annotated[str, msgspec.Meta(min_length=1)]
    meant: str = ""
    relevant: Annotated[list[str], msgspec.Meta(min_length=1)]


def typed_queries(documents: Sequence[Document], *, by_hand: Path = BY_HAND) -> list[TypedQuery]:
    """Returns every query of the set, by kind.

    Raises:
        CatalogueError: A line of the file is invalid, or names an unknown document.
    """
    texts = {document.id: _texts(document) for document in documents}
    written = _hand_written(by_hand, known=set(texts))
    found = list(_from_catalogue(texts))
    for name, kind in OWN_WORDS.items():
        for each in written:
            chance = random.Random(f"{name}/{each.query}")
            if not each.meant and (typed := kind.rule(each.query, chance)) is not None:
                found.append(_query(name, typed, each.query, each.relevant))
    return found + [_query(CLIPPINGS, each.query, each.meant, each.relevant) for each in written if each.meant]


def judges(meant: str) -> bool:
    """Returns whether the typed forms of a text are in the half that judges."""
    return hashlib.sha256(_compared(meant).encode()).digest()[0] % 2 == 1


def _from_catalogue(texts: Mapping[str, Sequence[str]]) -> Iterator[TypedQuery]:
    """Yields the queries that rules make from the texts of documents, given by id; no query twice."""
    for name, kind in KINDS.items():
        seen = set()
        for id, own in texts.items():
            chance = random.Random(f"{name}/{id}")
            forms = [(typed, text) for text in own if (typed := kind.rule(text, chance)) is not None]
            if not forms:
                continue
            typed, meant = chance.choice(forms)
            if typed not in seen:
                seen.add(typed)
                same = _answers(meant, texts)
                yield _query(name, typed, meant, same, also=_answers(typed, texts, kind=kind))


def _answers(typed: str, texts: Mapping[str, Sequence[str]], *, kind: Kind | None = None) -> set[str]:
    """Returns ids of documents with a text that equals the typed one or, for some kinds, begins with it."""
    if kind is None or kind.beginning is None:
        return {id for id, own in texts.items() if any(_compared(typed) == _compared(text) for text in own)}
    form = kind.beginning
    beginning = _compared(form(typed))
    return {id for id, own in texts.items() if any(_compared(form(text)).startswith(beginning) for text in own)}


def _query(name: str, typed: str, meant: str, relevant: Iterable[str], *, also: Set[str] = frozenset()) -> TypedQuery:
    answers = frozenset(relevant)
    return TypedQuery(name, typed, meant, answers | also, not also <= answers, judges(meant))


def _texts(document: Document) -> list[str]:
    """Returns titles and examples, without repeats."""
    return list(dict.fromkeys(part.text for part in parts_of(document) if part.field is not Field.TEXT))


def _compared(text: str) -> str:
    return "".join(text.split()).casefold()


def _hand_written(path: Path, *, known: set[str]) -> list[HandWritten]:
    """Reads `by_hand.jsonl`."""
    written = []
    for number, each in read_jsonl(path, HandWritten):
        for id in each.relevant:
            if id not in known:
                raise CatalogueError(f"{path}:{number}: unknown document {id!r}: it is not in the catalogue")
        written.append(each)
    return written
