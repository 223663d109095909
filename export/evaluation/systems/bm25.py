"""BM25, computed by bm25s, with k1, b and the weights of fields tuned on queries that are not reported."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple

import bm25s
import numpy as np
from numpy.typing import NDArray

from export.evaluation.judged import SEED, JudgedQuery
from export.evaluation.measures import measured
from export.evaluation.runs import DEPTH, WITH_LABELS
from export.evaluation.systems.terms import Split
from server.catalogue.document import Document, Field, parts_of

TUNED_BY = "nDCG@10"

GRID: dict[str, tuple[float, ...]] = {
    "k1": (0.4, 0.9, 1.2, 2.0, 4.0, 8.0, 16.0),
    "b": (0.0, 0.2, 0.4, 0.55, 0.7, 0.85, 1.0),
    "title": (1, 2, 3, 5, 8),
    "example": (1, 2, 3, 5, 8),
}
"""The values that are tried. Those of a field are its weight: how often its terms count, against once for texts."""

ROUNDS = 2
"""Times that each parameter is tuned while the others stay."""

TUNING_DOCUMENTS = 5_000
"""Most documents to tune with: of more, those that answer and a sample. bm25s needs a new index for each value."""

EMPTY = 0
"""The term of documents without any other, which no query has: bm25s divides by the mean length."""

logging.getLogger("bm25s").setLevel(logging.WARNING)


class Parameters(NamedTuple):
    """The parameters of BM25. The defaults are the usual ones, those of Lucene."""

    k1: float = 1.2
    b: float = 0.75
    title: float = 1
    example: float = 1


class Terms:
    """The terms of documents by field, as numbers."""

    def __init__(self, documents: Sequence[Document], split: Split) -> None:
        """Cuts the documents into terms."""
        self._split = split
        self.vocabulary: dict[str, int] = {"": EMPTY}
        self.fields = {field: self._numbered(documents, field) for field in Field}

    def index(self, parameters: Parameters, rows: Sequence[int] | None = None) -> bm25s.BM25:
        """Returns an index of the documents, or of some of them."""
        titles, texts, examples = (self.fields[field] for field in (Field.TITLE, Field.TEXT, Field.EXAMPLE))
        weights = int(parameters.title), int(parameters.example)
        chosen = range(len(titles)) if rows is None else rows
        ids = [titles[row] * weights[0] + texts[row] + examples[row] * weights[1] or [EMPTY] for row in chosen]
        index = bm25s.BM25(k1=parameters.k1, b=parameters.b, method="lucene")
        index.index((ids, dict(self.vocabulary)), show_progress=False)
        return index

    def queries(self, texts: Sequence[str]) -> list[list[int]]:
        """Returns the known terms of queries."""
        return [[self.vocabulary[term] for term in terms if term in self.vocabulary] for terms in self._split(texts)]

    def _numbered(self, documents: Sequence[Document], field: Field) -> list[list[int]]:
        texts = ["\n".join(part.text for part in parts_of(each) if part.field is field) for each in documents]
        return [
            [self.vocabulary.setdefault(term, len(self.vocabulary)) for term in terms] for terms in self._split(texts)
        ]


class Bm25System:
    """BM25 over documents."""

    def __init__(
        self,
        name: str,
        documents: Sequence[Document],
        split: Split,
        *,
        tuning: Sequence[JudgedQuery],
        progress: Callable[[str], None],
    ) -> None:
        """Indexes nothing yet; without queries for `tuning` the parameters are the usual ones."""
        self.name = name
        self._documents = documents
        self._split = split
        self._tuning = tuning
        self._progress = progress

    @property
    def note(self) -> str:
        """The parameters, and whether they are tuned."""
        found, score = self.tuned
        fields = [f"{field.value} × {getattr(found, field.value):g}" for field in self._weighted]
        how = "not tuned" if score is None else f"{TUNED_BY} {score:.3f} where it was tuned"
        return f"{self.name}: {', '.join([f'k1 {found.k1:g}', f'b {found.b:g}', *fields])} ({how})"

    def search(self, queries: Sequence[str]) -> list[list[str]]:
        """Returns for each query the ids of the best documents. A document without a term of it is not found."""
        terms = self._terms.queries(queries)
        return self._found(self._terms.index(self.tuned[0]), terms, range(len(self._documents)))

    @cached_property
    def tuned(self) -> tuple[Parameters, float | None]:
        """The best parameters on the queries for tuning, and their score; the defaults and None if there are none."""
        if not self._tuning:
            return Parameters(), None
        self._progress(f"tuning {self.name} on {len(self._tuning):,} queries")
        rows = self._tuning_rows()
        terms = self._terms.queries([query.text for query in self._tuning])
        names = ["k1", "b", *(field.value for field in self._weighted)]
        scores: dict[Parameters, float] = {}

        def score(parameters: Parameters) -> float:
            if parameters not in scores:
                found = self._found(self._terms.index(parameters, rows), terms, rows)
                scores[parameters] = float(measured(self._tuning, found, [TUNED_BY]).mean())
            return scores[parameters]

        best = Parameters()
        for name in names * ROUNDS:
            # Of equal ones the first wins, so that the result does not depend on the order of the grid.
            best = max([best, *(best._replace(**{name: value}) for value in GRID[name])], key=score)
        return best, scores[best]

    @cached_property
    def _terms(self) -> Terms:
        return Terms(self._documents, self._split)

    @property
    def _weighted(self) -> list[Field]:
        """The fields that have a weight and occur beside others."""
        fields = [field for field, each in self._terms.fields.items() if any(each)]
        return [field for field in fields if field is not Field.TEXT] if len(fields) > 1 else []

    def _tuning_rows(self) -> list[int]:
        if len(self._documents) <= TUNING_DOCUMENTS:
            return list(range(len(self._documents)))
        wanted = {id for query in self._tuning for id in query.grades}
        answers = [row for row, each in enumerate(self._documents) if each.id in wanted]
        others = [row for row, each in enumerate(self._documents) if each.id not in wanted]
        shuffle = random.Random(SEED)  # noqa: S311  a sample, not a secret
        return sorted(answers + shuffle.sample(others, max(0, min(TUNING_DOCUMENTS - len(answers), len(others)))))

    def _found(self, index: bm25s.BM25, queries: Sequence[list[int]], rows: Sequence[int]) -> list[list[str]]:
        return [
            [self._documents[rows[place]].id for place in _best(index.get_scores_from_ids(terms))] if terms else []
            for terms in queries
        ]


def best_of(systems: Sequence[Bm25System]) -> Bm25System:
    """Returns the system without labels that is best where it was tuned; of systems that are not tuned, the last."""
    plain = [each for each in systems if not each.name.endswith(WITH_LABELS)]
    return max(reversed(plain), key=lambda each: each.tuned[1] or 0.0)


def _best(scores: NDArray[np.float32]) -> list[int]:
    """Returns the places of the best scores above 0, the best first; of equal ones, the first document first."""
    places = np.flatnonzero(scores)  # Most documents have no term of a query, and so the score 0.
    if len(places) > DEPTH:
        own = scores[places]
        places = places[own >= np.partition(own, -DEPTH)[-DEPTH]]
    found: list[int] = places[np.argsort(-scores[places], kind="stable")][:DEPTH].tolist()
    return found
