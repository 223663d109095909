"""Measures search on a data set: recall by mode, language and examples, and the flag for queries without an answer."""

import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.retrieval.sets import RetrievalSet
from export.quality.served import ServedDocuments, encode_passages, encode_queries
from server.catalogue.document import Document, parts_of
from server.catalogue.encoded import Vectors
from server.catalogue.jsonl import read_jsonl
from server.encoding.bundle import Bundle
from server.ranking.language import language_of
from server.ranking.options import Fusion, Mode, SearchOptions
from server.ranking.probes import encode_probes

DEPTHS = (1, 5, 10, 20)
LIMIT = max(DEPTHS)
ALL = "all"
EXAMPLES = (0, 1, 2, 5, 10)
"""Numbers of example queries per document, one run each."""

MODES = {
    "dense": SearchOptions(LIMIT, Mode.DENSE),
    "lexical": SearchOptions(LIMIT, Mode.LEXICAL),
    "hybrid": SearchOptions(LIMIT, Mode.HYBRID),
    "hybrid by rank": SearchOptions(LIMIT, Mode.HYBRID, fusion=Fusion.RECIPROCAL_RANK),
}

UNANSWERABLE = ("out of scope", "nonsense", "other apps")
"""Kinds of queries in unanswerable.jsonl, which no data set answers. No threshold, decoy or probe was tuned on them.

The server's decoys cover the topics of "nonsense" in other words, so this kind measures how far decoys generalize. The
author of "other apps" had not seen the server's probes and decoys.
"""


class Unanswerable(msgspec.Struct):
    """A query that no data set answers."""

    kind: str
    language: str
    query: str


class Row(NamedTuple):
    """The conditions of one measurement: number of examples, mode of search, language of the queries."""

    examples: int
    mode: str
    language: str


class Measured(NamedTuple):
    """Results of a bundle in a data set.

    Attributes:
        queries: Number of queries, by language.
        recall: R@k by k.
        flagged: Share of queries flagged as unanswered, by mode, language and kind of query.
        search_milliseconds: Median and 99th percentile of a search, by mode.
    """

    queries: dict[str, int]
    recall: dict[Row, dict[int, float]]
    flagged: dict[tuple[str, str, str], float]
    search_milliseconds: dict[str, tuple[float, float]]


class Corpus:
    """The documents of a set, encoded once and indexed with any number of examples."""

    def __init__(self, bundle: Bundle, chosen: RetrievalSet) -> None:
        """Encodes documents and examples."""
        self._bundle = bundle
        self._documents = chosen.documents
        self._examples = chosen.examples
        self._probes = encode_probes(bundle)
        self._vectors = encode_passages(bundle, chosen.documents)
        alone = [Document(id=str(place), examples=texts) for place, texts in enumerate(chosen.examples)]
        self._example_vectors = encode_passages(bundle, alone)

    @property
    def has_examples(self) -> bool:
        """Whether the set has examples."""
        return any(self._examples)

    def served(self, examples: int, folder: Path) -> ServedDocuments:
        """Returns the documents in an index, each with `examples` of its examples."""
        documents = [
            msgspec.structs.replace(document, examples=[*document.examples, *texts[:examples]])
            for document, texts in zip(self._documents, self._examples, strict=True)
        ]
        vectors = [
            _joined(own, more, parts=len(parts_of(document)), examples=examples)
            for document, own, more in zip(self._documents, self._vectors, self._example_vectors, strict=True)
        ]
        return ServedDocuments(self._bundle, documents, vectors, probes=self._probes, folder=folder)


def measure(bundle: Bundle, chosen: RetrievalSet) -> Measured:
    """Searches all queries in all modes for each number of examples, and the unanswerable queries."""
    corpus = Corpus(bundle, chosen)
    languages = {language_of(each.query) or ALL for each in chosen.asked}
    lines = read_jsonl(Path(__file__).with_name("unanswerable.jsonl"), Unanswerable)
    unanswerable = [each for _, each in lines if each.language in languages]
    vectors = encode_queries(bundle, [asked.query for asked in chosen.asked] + [each.query for each in unanswerable])
    ranks: dict[Row, list[float]] = defaultdict(list)
    flagged: dict[tuple[str, str, str], list[bool]] = defaultdict(list)
    seconds: dict[str, list[float]] = defaultdict(list)
    for examples in EXAMPLES if corpus.has_examples else (0,):
        with tempfile.TemporaryDirectory() as folder:
            served = corpus.served(examples, Path(folder))
        for mode, options in MODES.items():
            if examples and mode not in ("dense", "hybrid"):
                continue
            for asked, vector in zip(chosen.asked, vectors, strict=False):
                started = time.perf_counter()
                found = served.search(asked.query, vector, options)
                seconds[mode].append(time.perf_counter() - started)
                hits = [rank for rank, hit in enumerate(found.documents, 1) if hit.sequence in asked.relevant]
                for language in (ALL, language_of(asked.query) or ALL):
                    ranks[Row(examples, mode, language)].append(hits[0] if hits else float("inf"))
                if not examples:
                    flagged[mode, language_of(asked.query) or ALL, "answerable"].append(found.no_good_answer)
            if not examples:
                for each, vector in zip(unanswerable, vectors[len(chosen.asked) :], strict=True):
                    found = served.search(each.query, vector, options)
                    flagged[mode, each.language, each.kind].append(found.no_good_answer)
    return Measured(
        queries={row.language: len(each) for row, each in ranks.items()},
        recall={row: {k: statistics.mean(rank <= k for rank in each) for k in DEPTHS} for row, each in ranks.items()},
        flagged={name: statistics.mean(each) for name, each in flagged.items()},
        search_milliseconds={mode: _percentiles(each) for mode, each in seconds.items()},
    )


def _joined(own: Vectors, more: Vectors, *, parts: int, examples: int) -> Vectors:
    """Returns the vectors of a document with `parts` parts, plus those of its first `examples` examples."""
    kept: NDArray[np.bool_] = more.spans[:, 0] < examples
    added = more.spans[kept] + np.array([parts, 0, 0], dtype=np.int32)
    return Vectors(np.concatenate([own.spans, added]), np.concatenate([own.matrix, more.matrix[kept]]))


def _percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    p50, p99 = np.percentile(seconds, (50, 99)).tolist()
    return 1e3 * p50, 1e3 * p99


def by_language(queries: Mapping[str, int]) -> list[str]:
    """Returns the languages to print: each, and their total if there are several."""
    languages = sorted(set(queries) - {ALL})
    return languages if len(languages) == 1 else [*languages, ALL]
