"""Measures search on a data set: recall by mode, language and examples, and the flag for queries without an answer."""

import statistics
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from export.evaluation.judged import JudgedSet, taught
from export.evaluation.measures import NAMES, measured
from export.evaluation.reading import OTHER
from export.evaluation.systems.served import first_parts
from export.quality.served import ServedDocuments, encode_passages, encode_queries
from server.catalogue.document import Document, parts_of
from server.catalogue.jsonl import read_jsonl
from server.encoding.bundle import Bundle
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
    """The documents of a set, encoded once and indexed with any number of labels as example queries."""

    def __init__(self, bundle: Bundle, chosen: JudgedSet) -> None:
        """Encodes the documents with as many labels as are measured at most."""
        self._bundle = bundle
        self._chosen = chosen
        self._probes = encode_probes(bundle)
        self._vectors = encode_passages(bundle, self._taught(EXAMPLES[-1]))

    def served(self, examples: int, folder: Path) -> ServedDocuments:
        """Returns the documents in an index, each with at most `examples` labels."""
        documents = self._taught(examples)
        pairs = zip(self._vectors, documents, strict=True)
        vectors = [first_parts(each, len(parts_of(document))) for each, document in pairs]
        return ServedDocuments(self._bundle, documents, vectors, probes=self._probes, folder=folder)

    def _taught(self, examples: int) -> list[Document]:
        return taught(self._chosen.documents, self._chosen.labels, per_document=examples)


def measure(bundle: Bundle, chosen: JudgedSet) -> Measured:
    """Searches all queries in all modes for each number of examples, and the unanswerable queries."""
    corpus = Corpus(bundle, chosen)
    languages = np.array([ALL if query.language == OTHER else query.language for query in chosen.queries])
    lines = read_jsonl(Path(__file__).with_name("unanswerable.jsonl"), Unanswerable)
    unanswerable = [each for _, each in lines if each.language in languages]
    vectors = encode_queries(bundle, [each.text for each in chosen.queries] + [each.query for each in unanswerable])
    recall: dict[Row, dict[int, float]] = {}
    flagged: dict[tuple[str, str, str], list[bool]] = defaultdict(list)
    seconds: dict[str, list[float]] = defaultdict(list)
    for examples in EXAMPLES if chosen.labels else (0,):
        with tempfile.TemporaryDirectory() as folder:
            served = corpus.served(examples, Path(folder))
        for mode, options in MODES.items():
            if examples and mode not in ("dense", "hybrid"):
                continue
            ids = []
            for query, language, vector in zip(chosen.queries, languages.tolist(), vectors, strict=False):
                started = time.perf_counter()
                found = served.search(query.text, vector, options)
                seconds[mode].append(time.perf_counter() - started)
                ids.append([chosen.documents[hit.sequence].id for hit in found.documents])
                if not examples:
                    flagged[mode, language, "answerable"].append(found.no_good_answer)
            values = measured(chosen.queries, ids)
            for language in (ALL, *sorted(set(languages))):
                own = values[:, (languages == language) | (language == ALL)].mean(axis=1)
                by_name = dict(zip(NAMES, own.tolist(), strict=True))
                recall[Row(examples, mode, language)] = {depth: by_name[f"R@{depth}"] for depth in DEPTHS}
            if not examples:
                for each, vector in zip(unanswerable, vectors[len(chosen.queries) :], strict=True):
                    found = served.search(each.query, vector, options)
                    flagged[mode, each.language, each.kind].append(found.no_good_answer)
    return Measured(
        queries={**Counter(languages.tolist()), ALL: len(languages)},
        recall=recall,
        flagged={name: statistics.mean(each) for name, each in flagged.items()},
        search_milliseconds={mode: _percentiles(each) for mode, each in seconds.items()},
    )


def _percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    p50, p99 = np.percentile(seconds, (50, 99)).tolist()
    return 1e3 * p50, 1e3 * p99


def by_language(queries: Mapping[str, int]) -> list[str]:
    """Returns the languages to print: each, and their total if there are several."""
    languages = sorted(set(queries) - {ALL})
    return languages if len(languages) == 1 else [*languages, ALL]
