"""How well each mode of search finds what is asked for: `make bench-retrieval ARGS="--data DIR --split dev"`.

DIR has BEIR's layout (`corpus.jsonl`, `queries.jsonl`, `qrels/SPLIT.tsv`); without it the sample catalogue and its
queries are taken. Printed are R@1 and R@10 of the dense leg, the lexical leg, and both fusions, how often answerable
queries are said to have no good answer, and how often queries out of scope are. The documents are in a live index, and
searched as a server searches them. It exits with 1 if a bar is missed.

BM25's two numbers and the fusion's discount were chosen on training questions of two sets (docs/search.md); thresholds
of the signal on those and the sample's queries; nothing on the queries out of scope.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sample.server_process import REPOSITORY
from server.catalogue.document import Document
from server.catalogue.encoded import Versioned
from server.encoding.bundle import Bundle
from server.encoding.documents import encode_documents
from server.encoding.kind import TextKind
from server.encoding.passages import OVERLAP_TOKENS
from server.index.baseline import Probes, language_of
from server.index.dense import DenseIndex
from server.index.options import Fusion, Mode, SearchOptions
from server.live.index import LiveIndex
from server.live.search import search
from tests.benchmarks.machine import describe_machine, pin_to_one_core
from tests.benchmarks.retrieval.out_of_scope import OUT_OF_SCOPE
from tests.benchmarks.retrieval.sets import Asked, RetrievalSet, beir_set, sample_set

DEPTH = 10
BATCH_TEXTS = 32
MODES = {
    "dense": SearchOptions(limit=DEPTH),
    "lexical": SearchOptions(limit=DEPTH, mode=Mode.LEXICAL),
    "hybrid, reciprocal rank": SearchOptions(limit=DEPTH, mode=Mode.HYBRID, fusion=Fusion.RECIPROCAL_RANK),
    "hybrid, weighted sum": SearchOptions(limit=DEPTH, mode=Mode.HYBRID),
}

HYBRID_LOSS = 0.02
"""What the default fusion may lose of the better leg's R@1, on any set."""

BARS = {
    "welfare-ko, dev": {("lexical", "R@1"): 0.68, ("lexical", "R@10"): 0.9},
    "banking77, test": {("dense", "R@1"): 0.62},
}
"""What must be reached with the default bundle, by the name of the set."""


class Served:
    """A set as a server has it: documents in passages, encoded, in a live index."""

    def __init__(self, bundle: Bundle, documents: Sequence[Document], folder: Path) -> None:
        self._bundle = bundle
        self.probes = Probes(self.encode)
        manifest = bundle.manifest
        dense = DenseIndex(manifest.dimension, manifest.similarity, "f16", folder=folder)
        index = LiveIndex(manifest.revision, dense, probes=self.probes)
        vectors = encode_documents(documents, bundle, overlap_tokens=OVERLAP_TOKENS)
        index.follow(
            [Versioned(*each) for each in zip(range(len(documents)), documents, vectors, strict=True)],
            [],
            sequence=len(documents),
        )
        index.measure()
        index.refresh()
        self.state = index.state
        index.close()

    def encode(self, queries: Sequence[str]) -> NDArray[np.float32]:
        """Returns the vectors of queries, those of one length together."""
        order = sorted(range(len(queries)), key=lambda place: len(queries[place]))
        vectors = np.empty((len(queries), self._bundle.manifest.dimension), np.float32)
        for start in range(0, len(order), BATCH_TEXTS):
            rows = order[start : start + BATCH_TEXTS]
            vectors[rows] = self._bundle.encode_texts([(queries[row], TextKind.QUERY) for row in rows])
        return vectors


def main() -> int:
    """Runs the benchmark; returns the exit code."""
    options = _parse()
    pin_to_one_core()
    chosen = beir_set(options.data, options.split) if options.data else sample_set()
    print(f"encoding {len(chosen.documents)} documents and {len(chosen.asked)} queries …", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        served = Served(Bundle(options.bundle), chosen.documents, Path(folder))
    result = {
        "machine": describe_machine(),
        "set": chosen.name,
        "documents": len(chosen.documents),
        "queries": len(chosen.asked),
        "readings": served.probes.readings,
        **measure(served, chosen),
    }
    _print(result)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    missed = missed_bars(result, chosen.name)
    print(f"bars missed: {'; '.join(missed)}" if missed else "every bar was reached")
    return 1 if missed else 0


def measure(served: Served, chosen: RetrievalSet) -> dict[str, object]:
    """Returns recall by mode, and the rates at which no good answer is said to be there."""
    ranks: dict[str, list[float]] = {}
    seconds: dict[str, list[float]] = {}
    flagged: dict[str, list[bool]] = {}
    languages = {language_of(each.query) for each in chosen.asked}
    unanswerable = [
        Asked(query, frozenset())
        for language in OUT_OF_SCOPE
        if language in languages
        for query in OUT_OF_SCOPE[language]
    ]
    everything = [*chosen.asked, *unanswerable]
    for asked, vector in zip(everything, served.encode([each.query for each in everything]), strict=True):
        for mode, options in MODES.items():
            started = time.perf_counter()
            found = search(served.state, " ".join(asked.query.split()), vector, options)
            seconds.setdefault(mode, []).append(time.perf_counter() - started)
            scope = "answerable" if asked.relevant else "out of scope"
            flagged.setdefault(f"{mode}, {scope}, {language_of(asked.query)}", []).append(found.no_good_answer)
            if asked.relevant:
                positions = [each.sequence for each in found.documents]
                hits = [rank for rank, each in enumerate(positions, start=1) if each in asked.relevant]
                ranks.setdefault(mode, []).append(hits[0] if hits else float("inf"))
    return {
        "recall": {
            mode: {f"R@{depth}": round(statistics.mean(rank <= depth for rank in each), 4) for depth in (1, DEPTH)}
            for mode, each in ranks.items()
        },
        "no_good_answer": {name: round(statistics.mean(said), 3) for name, said in sorted(flagged.items())},
        "search_milliseconds": {
            mode: {f"p{percent}": round(1e3 * float(np.percentile(each, percent)), 2) for percent in (50, 99)}
            for mode, each in seconds.items()
        },
    }


def missed_bars(result: dict[str, Any], name: str) -> list[str]:
    """Returns what a set that has bars does not reach."""
    recall = result["recall"]
    bars = [
        f"{mode} {depth} is {recall[mode][depth]}, not {bar}"
        for (mode, depth), bar in BARS.get(name, {}).items()
        if recall[mode][depth] < bar
    ]
    better = max(recall["dense"]["R@1"], recall["lexical"]["R@1"])
    hybrid = recall["hybrid, weighted sum"]["R@1"]
    if hybrid < better - HYBRID_LOSS:
        bars.append(f"hybrid R@1 is {hybrid}, more than {HYBRID_LOSS} below {better}")
    return bars


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.retrieval", description=__doc__)
    parser.add_argument("--data", type=Path, metavar="DIR", help="a set in BEIR's layout (default: the sample)")
    parser.add_argument("--split", default="test", help="which labels of it (default: %(default)s)")
    parser.add_argument("--bundle", type=Path, default=REPOSITORY / "build/bundle", metavar="DIR")
    parser.add_argument("--json", type=Path, metavar="FILE", help="writes everything there, too")
    return parser.parse_args()


def _print(result: dict[str, object]) -> None:
    for name, value in result.items():
        if isinstance(value, dict):
            print(f"{name}:")
            for key, each in value.items():
                shown = "  ".join(f"{what} {rate}" for what, rate in each.items()) if isinstance(each, dict) else each
                print(f"  {key:40} {shown}")
        else:
            print(f"{name}: {value}")


if __name__ == "__main__":
    sys.exit(main())
