"""Random catalogues and their changes, as a store numbers them, with vectors that need no model."""

import functools
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from server.catalogue.document import Document, parts_of
from server.catalogue.encoded import Vectors, Versioned
from server.lexical.tokens import terms_of
from server.live.index import LiveIndex
from server.ranking.probes import EncodedProbes
from server.vectors.dense import DenseIndex, DenseOptions

DIMENSION = 16

WEIGHTS = (1.0, 0.9, 0.95)

KOREAN = ["카드", "카드를", "분실", "신고", "적금", "적금을", "환율", "조회", "계좌", "이체"]
ENGLISH = ["card", "cards", "lost", "rate", "send", "money"]

words = st.sampled_from(KOREAN + ENGLISH)
phrases = st.lists(words, min_size=1, max_size=4).map(" ".join)
values = st.one_of(st.sampled_from(["a", "b", "빨강"]), st.booleans(), st.sampled_from([0, 1, 2, 14.5]))
attributes = st.dictionaries(
    st.sampled_from(["category", "age", "tags", "open"]), st.one_of(values, st.lists(values, max_size=3)), max_size=3
)
titles = st.one_of(phrases, st.dictionaries(st.sampled_from(["ko", "en", "ja"]), phrases, min_size=1, max_size=3))
ids = st.integers(0, 15).map("d{}".format)
puts = st.builds(
    Document,
    id=ids,
    title=titles,
    text=st.one_of(st.just(""), phrases).map(lambda text: text or {}),
    examples=st.lists(phrases, max_size=2),
    attributes=attributes,
)
changes = st.lists(st.lists(st.one_of(puts, puts, ids), min_size=1, max_size=8), min_size=1, max_size=6)
"""Groups of changes: a document is written, an id deleted."""


class Group(NamedTuple):
    """A group of changes, as `LiveIndex.follow` takes it."""

    added: list[Versioned]
    retired: list[int]
    sequence: int


class Log:
    """The documents after changes, by id, and the changes in groups."""

    def __init__(self) -> None:
        self.sequence = 0
        self.documents: dict[str, Versioned] = {}

    def group(self, changed: Sequence[Document | str]) -> Group:
        """Applies changes; returns them as a group. Of several versions of a document, the group has the last."""
        added: dict[str, Versioned] = {}
        retired = []
        for change in changed:
            id = change if isinstance(change, str) else change.id
            before = self.documents.pop(id, None)
            if before is None and isinstance(change, str):
                continue
            self.sequence += 1
            if before is not None and added.pop(id, None) is None:
                retired.append(before.sequence)
            if isinstance(change, Document):
                self.documents[id] = added[id] = version(change, self.sequence)
        return Group(list(added.values()), retired, self.sequence)

    @property
    def live(self) -> list[Versioned]:
        """The documents in the order of their sequences."""
        return sorted(self.documents.values(), key=lambda each: each.sequence)

    def sequences_of(self, ids: Iterable[str]) -> Mapping[str, int]:
        """Returns the sequences of the existing documents among some ids."""
        return {id: self.documents[id].sequence for id in ids if id in self.documents}


def version(document: Document, sequence: int) -> Versioned:
    """Returns a version of a document with a vector for each part."""
    parts = parts_of(document)
    spans = np.array([[place, 0, len(part.text)] for place, part in enumerate(parts)], np.int32)
    return Versioned(sequence, document, Vectors(spans, encode([part.text for part in parts])))


def encode(texts: Sequence[str]) -> NDArray[np.float32]:
    """Returns the vectors `[N, DIMENSION]` of texts: texts that share terms are near each other."""
    sums = np.array([sum(map(_vector_of, terms_of([text])[0].tolist()), np.ones(DIMENSION) / 4) for text in texts])
    vectors: NDArray[np.float32] = (sums / np.linalg.norm(sums, axis=1, keepdims=True)).astype(np.float32)
    return vectors


def empty_index(folder: Path | None = None) -> LiveIndex:
    """Returns an empty index, which compares every vector. Titles weigh more than other parts."""
    folder = folder or Path(tempfile.mkdtemp(prefix="index-"))
    dense = DenseIndex(DIMENSION, "cosine", "f16", folder=folder, options=DenseOptions(hnsw_from_vectors=2**31))
    return LiveIndex("made", dense, probes=probes(), weights=WEIGHTS)


@functools.cache
def probes() -> EncodedProbes:
    """Returns the probes, encoded as the documents are."""
    return EncodedProbes(encode, compares_queries=True)


@functools.lru_cache(2**16)
def _vector_of(code: int) -> NDArray[np.float64]:
    return np.random.default_rng(code).normal(size=DIMENSION)
