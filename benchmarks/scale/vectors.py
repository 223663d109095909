"""Makes any number of realistic vectors: those of real texts, moved by differences of others.

Uniform noise would mislead: all neighbours are equally far, and no graph finds them. A text's vector `a` becomes
`a + s (b - c)`, normalized, for two other texts and a random s up to 0.5. Queries are made in the same way from the
sample's labelled queries, with s up to 0.1.
"""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sample.server_process import REPOSITORY
from server.catalogue.catalogue import load_catalogue
from server.catalogue.document import parts_of
from server.encoding.bundle import Bundle
from server.encoding.kind import TextKind
from server.encoding.manifest import read_manifest

PAIRS = 6000
"""Texts joined from two of the sample, in addition to its texts."""

MOVED_MOST = 0.5

QUERY_MOVED_MOST = 0.1
"""Smaller than for documents, so that the queries stay close to real ones."""

CHUNK_TEXTS = 32

CHUNK_VECTORS = 10_000


class Source:
    """Makes vectors; the same seed makes the same vectors.

    Attributes:
        dimension: Dimension of the vectors.
        revision: Revision of the bundle.
    """

    def __init__(self, bundle: Path, folder: Path) -> None:
        """Encodes the sample's texts with a bundle once; `folder` caches the vectors."""
        self.revision: str = read_manifest(bundle).revision
        kept = folder / f"texts-{self.revision}.npz"
        if not kept.exists():
            opened = Bundle(bundle)
            folder.mkdir(parents=True, exist_ok=True)
            np.savez(
                kept,
                documents=_encode(opened, _document_texts(), TextKind.TEXT),
                queries=_encode(opened, _query_texts(), TextKind.QUERY),
            )
        with np.load(kept) as loaded:
            self._documents: NDArray[np.float32] = loaded["documents"]
            self._queries: NDArray[np.float32] = loaded["queries"]
        self.dimension = self._documents.shape[1]

    def documents(self, count: int, *, start: int = 0) -> NDArray[np.float32]:
        """Returns vectors `[count, dimension]` of documents; `start` is a multiple of CHUNK_VECTORS."""
        chunks = range(start // CHUNK_VECTORS, -(-(start + count) // CHUNK_VECTORS))
        made = [self._move(self._documents, CHUNK_VECTORS, MOVED_MOST, seed) for seed in chunks]
        return np.concatenate(made)[:count]

    def queries(self, count: int) -> NDArray[np.float32]:
        """Returns vectors `[count, dimension]` of queries."""
        return self._move(self._queries, count, QUERY_MOVED_MOST, 2**31)

    def _move(self, texts: NDArray[np.float32], count: int, most: float, seed: int) -> NDArray[np.float32]:
        random = np.random.default_rng(seed)
        chosen = texts[random.integers(0, len(texts), count)]
        there, back = (self._documents[random.integers(0, len(self._documents), count)] for _ in range(2))
        moved = chosen + random.uniform(0, most, (count, 1)).astype(np.float32) * (there - back)
        result: NDArray[np.float32] = moved / np.linalg.norm(moved, axis=1, keepdims=True)
        return result


def _document_texts() -> list[str]:
    documents = load_catalogue(REPOSITORY / "sample/catalogue.jsonl")
    texts = [part.text for document in documents for part in parts_of(document)]
    random = np.random.default_rng(0)
    pairs = random.integers(0, len(texts), (PAIRS, 2)).tolist()
    return texts + [f"{texts[first]} {texts[second]}" for first, second in pairs]


def _query_texts() -> list[str]:
    lines = (REPOSITORY / "sample/queries.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["query"] for line in lines]


def _encode(bundle: Bundle, texts: list[str], kind: TextKind) -> NDArray[np.float32]:
    chunks = (texts[start : start + CHUNK_TEXTS] for start in range(0, len(texts), CHUNK_TEXTS))
    return np.concatenate([bundle.encode_texts([(text, kind) for text in chunk]) for chunk in chunks])
