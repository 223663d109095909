"""Measures the time of an evaluation of many documents, after their encoding: `make bench-evaluation`.

The documents are made from the sample: each has the title of one of its documents, a sentence of another, and a number.
Their vectors are made, too: those of the sample's titles and texts with some noise. The queries are the sample's with a
number. All systems of `python -m export evaluate --bundle` are measured: the three modes, and BM25 over words and over
words and character pairs, tuned. The exit code is 1 if the target is missed.
"""

import argparse
import itertools
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from benchmarks.serving.figure import Figure
from export.evaluation.evaluation import evaluate
from export.evaluation.flags import DEFAULT_BM25, WORST
from export.evaluation.judged import JudgedQuery, JudgedSet, Pool, judged_set
from export.evaluation.report.content import content_of
from export.evaluation.report.html import as_page
from export.evaluation.report.json import as_json
from export.evaluation.report.text import as_text
from export.evaluation.runs import System
from export.evaluation.systems.bm25 import Bm25System, best_of
from export.evaluation.systems.served import EncodedDocuments, served_systems
from export.evaluation.systems.terms import SPLITS
from export.labelled_queries import load_labelled_queries
from export.quality.corpus import SAMPLE
from export.quality.served import encode_passages, encode_queries
from loadtest.environment import describe_environment
from sample.server_process import REPOSITORY
from server.catalogue.catalogue import load_catalogue
from server.catalogue.document import Document
from server.catalogue.encoded import Vectors
from server.closed_pipe import until_closed_pipe
from server.encoding.bundle import Bundle
from server.ranking.options import Mode

MOST_SECONDS = 120.0

TUNING_QUERIES = 500

NOISE = 0.3
"""Length of what is added to vectors of length 1: copies of a text differ, and stay nearer to it than other texts."""


class Step(NamedTuple):
    """A step of the evaluation, and when it began, in seconds of the clock and of CPU time."""

    name: str
    seconds: float
    cpu_seconds: float

    def figure(self, name: str, end: Self, *, at_most: float | None = None) -> Figure:
        """Returns the time until another step."""
        note = f"{end.cpu_seconds - self.cpu_seconds:.1f} s of CPU time"
        return Figure(name, [end.seconds - self.seconds], "{:.1f} s", at_most=at_most, note=note)


class MadeEncoder:
    """Stands for the model of a bundle, with all vectors in memory: it encodes nothing when it is asked."""

    suffix = ""

    def __init__(self, bundle: Bundle, sample: Sequence[Document], *, documents: int, queries: Sequence[str]) -> None:
        """Encodes the sample and the queries, and makes the vectors of `made_documents`."""
        self.bundle = bundle
        known, random = encode_passages(bundle, sample), np.random.default_rng(0)
        self._vectors = [_noisy(known[number % len(known)], random) for number in range(documents)]
        self._queries = dict(zip(queries, encode_queries(bundle, queries), strict=True))

    def passages(self, documents: Sequence[Document]) -> list[Vectors]:
        """Returns the vectors of the documents, which are all that were made."""
        assert len(documents) == len(self._vectors), "all documents are asked for"
        return self._vectors

    def queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns the vectors `[N, dimension]` of N queries."""
        return np.stack([self._queries[text] for text in texts])


def _noisy(vectors: Vectors, random: np.random.Generator) -> Vectors:
    noise = random.standard_normal(vectors.matrix.shape, dtype=np.float32)
    made = vectors.matrix + NOISE * noise / np.linalg.norm(noise, axis=1, keepdims=True)
    return Vectors(vectors.spans, made / np.linalg.norm(made, axis=1, keepdims=True))


def made_set(sample: Sequence[Document], *, documents: int, queries: int) -> JudgedSet:
    """Returns made documents, queries, and other queries to tune with."""
    made, place_of = made_documents(sample, documents), {each.id: place for place, each in enumerate(sample)}
    labelled = load_labelled_queries(SAMPLE / "queries.jsonl", sample)
    copies = documents // len(sample)
    asked = []
    for number in range(queries + TUNING_QUERIES):
        known = labelled[number % len(labelled)]
        places = [place_of[id] + len(sample) * (number % copies) for id in known.relevant]
        grades = {made[place].id: 1 for place in places}
        asked.append(JudgedQuery(text=f"{known.query} {number}", language=known.language, grades=grades))
    return judged_set(made, Pool(name="made", queries=asked[:queries]), dev=Pool(name="dev", queries=asked[queries:]))


def made_documents(sample: Sequence[Document], count: int) -> list[Document]:
    """Returns documents with the title of one document of the sample, the text of another, and a number."""
    documents = []
    for number in range(count):
        title, text = sample[number % len(sample)], sample[(number // len(sample) + number) % len(sample)]
        documents.append(Document(id=f"{title.id}-{number}", title=f"{title.title} {number}", text=text.text))
    return documents


def measure(bundle: Bundle, *, documents: int, queries: int) -> Iterator[Figure]:
    """Yields the seconds of the steps after encoding, and of all of them."""
    sample = [
        Document(id=each.id, title=each.title_in("ko"), text=next(iter(each.texts().values())))
        for each in load_catalogue(SAMPLE / "catalogue.jsonl")
    ]
    judged = made_set(sample, documents=documents, queries=queries)
    encoder = MadeEncoder(bundle, sample, documents=documents, queries=[query.text for query in judged.queries])
    steps: list[Step] = []

    def progress(name: str) -> None:
        steps.append(Step(name, time.perf_counter(), time.process_time()))

    progress("beginning")
    encoded = EncodedDocuments(encoder, judged.documents, judged.documents, progress=progress)
    words = [
        Bm25System(f"BM25 {name}", judged.documents, SPLITS[name](), tuning=judged.tuning, progress=progress)
        for name in DEFAULT_BM25
    ]
    baseline = best_of(words).name
    systems: list[System] = [*served_systems(encoded, list(Mode), labels=False), *words]
    evaluation = evaluate(judged, systems, baseline=baseline, progress=progress)
    progress("computing figures, intervals, tests and slices, and writing reports")
    content = content_of(evaluation, worst=WORST)
    for write in (as_text, as_json, as_page):
        write(content)
    progress("end")
    for step, end in itertools.pairwise(steps):
        yield step.figure(step.name, end)
    name = f"evaluation of {queries:,} queries over {documents:,} documents, after encoding"
    yield steps[0].figure(name, steps[-1], at_most=MOST_SECONDS)


def main() -> int:
    """Prints every figure; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evaluation", description=__doc__)
    parser.add_argument("--documents", type=int, default=100_000, metavar="N", help="default: %(default)s")
    parser.add_argument("--queries", type=int, default=3_000, metavar="N", help="default: %(default)s")
    parser.add_argument("--bundle", type=Path, default=REPOSITORY / "build/bundle", metavar="DIR", help="bundle")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all results to this file")
    options = parser.parse_args()
    environment = describe_environment(" ".join(sys.argv))
    for name, value in environment.items():
        print(f"{name:14} {value}")
    figures = []
    for figure in measure(Bundle(options.bundle), documents=options.documents, queries=options.queries):
        print(figure, flush=True)
        figures.append(figure)
    missed = any(figure.missed for figure in figures)
    print("\nthe target was missed" if missed else "\nthe target was reached")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        document = {"environment": environment, "figures": [figure.described() for figure in figures]}
        options.json.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(until_closed_pipe(main))
