"""Searches real queries in documents with and without synthetic example queries."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.bootstrap.sets import RealSet, by_document
from export.bootstrap.synthetic.kinds import KINDS
from export.bootstrap.synthetic.making import synthetic_queries
from export.bootstrap.synthetic.phrases import Phrases
from export.bootstrap.synthetic.round_trip import round_trip
from export.evaluation.measures import NAMES, measured
from export.evaluation.runs import DEPTH
from export.quality.served import ServedDocuments, encode_passages, encode_queries
from server.catalogue.document import Document
from server.catalogue.encoded import Vectors, Versioned
from server.catalogue.examples import with_examples
from server.encoding.bundle import Bundle
from server.ranking.options import Mode, SearchOptions
from server.ranking.probes import encode_probes
from server.significance import intervals

MOST = 3
"""Synthetic queries of a kind for each title and text, as `python -m export bootstrap queries` makes by default."""

MODES = (Mode.DENSE, Mode.HYBRID)
MEASURES = ("R@1", "R@10")

Pair = tuple[str, str]
"""An example query, and the id of its document."""


class Figure(NamedTuple):
    """The mean of a measure, its change against documents without examples, and the 95 % interval of the change."""

    value: float
    change: float = 0.0
    interval: tuple[float, float] | None = None

    @property
    def change_text(self) -> str:
        """The change and its interval, such as `(+.010, -.002 to +.021)`."""
        if self.interval is None:
            return ""
        return f"({self.change:+.3f}, {self.interval[0]:+.3f} to {self.interval[1]:+.3f})"


class Row(NamedTuple):
    """The figures of R@1 and R@10 in DENSE, then in HYBRID, with one kind of example queries.

    Attributes:
        kind: The kind, or `none`, or the name of the examples of people.
        round_trip: Whether only queries are examples that have passed the round trip: yes, no, or empty.
        queries: Number of examples.
        documents: Number of documents that have any.
    """

    kind: str
    round_trip: str
    queries: int
    documents: int
    figures: list[Figure]


class Searched:
    """Documents that get example queries."""

    def __init__(self, real: RealSet, bundle: Bundle) -> None:
        """Encodes documents and queries once."""
        self._real = real
        self._bundle = bundle
        self._probes = encode_probes(bundle)
        self._vectors = encode_passages(bundle, real.documents)
        self._queries = encode_queries(bundle, [each.text for each in real.queries])
        self._examples: dict[str, Vectors] = {}

    def values(self, pairs: Sequence[Pair]) -> NDArray[np.float64]:
        """Returns R@1 and R@10 in DENSE, then in HYBRID, for each query `[4, queries]`, with these examples."""
        index = self._index(pairs)
        asked = self._real.queries
        rows = []
        for mode in MODES:
            found = index.search_all([each.text for each in asked], self._queries, SearchOptions(DEPTH, mode))
            ids = [[self._real.documents[hit.sequence].id for hit in each.documents] for each in found]
            of_mode = measured(asked, ids)
            rows += [of_mode[NAMES.index(name)] for name in MEASURES]
        return np.stack(rows)

    def _index(self, pairs: Sequence[Pair]) -> ServedDocuments:
        new = list(dict.fromkeys(text for text, _ in pairs if text not in self._examples))
        encoded = encode_passages(self._bundle, [Document(id="x", examples=[text]) for text in new])
        self._examples |= zip(new, encoded, strict=True)
        own = by_document(pairs)
        documents, vectors = [], []
        for document, plain in zip(self._real.documents, self._vectors, strict=True):
            examples = [pairs[number][0] for number in own.get(document.id, [])]
            with_own = with_examples(Versioned(0, document, plain), examples, self._examples)
            assert with_own.vectors is not None, "the document is encoded"
            documents.append(with_own.document)
            vectors.append(with_own.vectors)
        with tempfile.TemporaryDirectory() as folder:
            return ServedDocuments(self._bundle, documents, vectors, probes=self._probes, folder=Path(folder))


def measured_rows(
    real: RealSet, bundle: Bundle, *, phrases: Phrases, show: Callable[[Row], None] = lambda row: None
) -> list[Row]:
    """Returns the figures without examples, with each kind of synthetic queries, and with examples of people."""
    searched = Searched(real, bundle)
    base = searched.values([])
    rows: list[Row] = []

    def add(kind: str, filtered: str, pairs: Sequence[Pair]) -> None:
        values = searched.values(pairs) if pairs else base
        row = Row(kind, filtered, len(pairs), len(by_document(pairs)), figures_of(values, base if pairs else None))
        rows.append(row)
        show(row)

    add("none", "", [])
    made = synthetic_queries(real.documents, KINDS, most=MOST, phrases=phrases)
    kept = round_trip(made, real.documents, bundle, progress=lambda step: None)
    for kind in (*KINDS, "all"):
        for filtered, queries in (("no", made), ("yes", kept)):
            pairs = [(each.text, each.document_id) for each in queries if kind in (each.kind, "all")]
            add(kind, filtered, pairs)
    name, people = real.people
    add(name, "", people)
    return rows


def figures_of(values: NDArray[np.float64], base: NDArray[np.float64] | None) -> list[Figure]:
    """Returns the means of rows of values `[rows, queries]`, and their changes against `base`."""
    means = values.mean(axis=1).tolist()
    if base is None:
        return [Figure(mean) for mean in means]
    changes = (values - base).mean(axis=1).tolist()
    bounds = intervals(values - base).tolist()
    return [Figure(mean, change, (low, high)) for mean, change, (low, high) in zip(means, changes, bounds, strict=True)]
