"""Tries other example queries in an index of the store's documents, which can change there without being stored.

It is searched as the server searches: with interpretation, synonyms and rules of merchandising.
"""

import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.catalogue.document import Document, Field
from server.catalogue.encoded import Vectors, Versioned
from server.catalogue.examples import with_examples
from server.catalogue.store import Store
from server.cpus import usable_cpus
from server.encoding.bundle import Bundle
from server.encoding.documents import CHUNK_TEXTS, encode_documents
from server.encoding.kind import TextKind
from server.encoding.normalisation import normalised
from server.errors import BundleError
from server.live.exact import exact_index
from server.live.index import LiveIndex
from server.metrics.feedback import MODES
from server.ranking.options import Asked, Mode, SearchOptions
from server.ranking.probes import encode_probes
from server.ranking.query_rules import QueryRules
from server.ranking.search import search
from server.ranking.state import State
from server.ranking.understanding import reading_of, understand

PORTION_DOCUMENTS = 512
"""Documents that are read and indexed at a time."""


class Question(NamedTuple):
    """A query and the document that should be its best hit."""

    query: str
    document_id: str


class Trial:
    """The documents of a store in an index that is searched exactly. All methods block."""

    def __init__(
        self,
        store: Store,
        bundle: Bundle,
        *,
        folder: Path,
        weights: Mapping[Field, float] = MappingProxyType({}),
        threads: int | None = None,
    ) -> None:
        """Indexes all documents; encodes those that this bundle has not encoded. The index uses files in `folder`.

        `weights` are the factors of fields that replace the bundle's. The default of `threads` is one for each CPU.
        Raises BundleError or DatabaseDamaged.
        """
        self._store = store
        self._bundle = bundle
        self._folder = folder
        self._weights = weights
        self._pool = ThreadPoolExecutor(threads or usable_cpus(), "learning")
        self._probes = encode_probes(bundle)
        self.revision = bundle.manifest.revision
        self._encoded: dict[str, Vectors | None] = {}
        self._encoded_documents: dict[int, Vectors] = {}
        self._tried: dict[str, Sequence[str]] = {}
        self._queries: dict[str, NDArray[np.float32]] = {}
        self._index = self._indexed()

    def close(self) -> None:
        """Removes the files of the index, and ends the threads."""
        self._pool.shutdown()
        self._index.close()

    @property
    def state(self) -> State:
        """The state of the index."""
        return self._index.state

    def stored(self, ids: Iterable[str]) -> dict[str, Versioned]:
        """Returns the stored documents among `ids`, with their vectors."""
        found = self._store.versioned(list(ids), self.revision)
        return {each.document.id: each for each in self._with_vectors(list(found.values()))}

    def encodable(self, examples: Iterable[str]) -> set[str]:
        """Encodes examples; returns those that the model can encode."""
        new = [text for text in dict.fromkeys(examples) if text not in self._encoded]
        try:
            self._encoded |= zip(new, self._encode([Document(id="", examples=[text]) for text in new]), strict=True)
        except BundleError:  # One of them has no tokens.
            for text in new:
                try:
                    self._encoded |= zip([text], self._encode([Document(id="", examples=[text])]), strict=True)
                except BundleError:
                    self._encoded[text] = None
        return {text for text in examples if self._encoded[text] is not None}

    def changed(self, examples: Mapping[str, Sequence[str]]) -> list[Versioned]:
        """Returns stored documents with other examples, by id, all of which are stored or encodable."""
        stored = self.stored(examples)
        return [self._with_examples(stored[id], texts) for id, texts in examples.items() if id in stored]

    def search_with(self, examples: Mapping[str, Sequence[str]]) -> None:
        """Searches documents with other examples from now on, by id, and all others as they are stored.

        Indexes all documents again: old versions in an index would change the weights of words.
        """
        if examples == self._tried:
            return
        self._tried = dict(examples)
        old, self._index = self._index, self._indexed()
        old.close()

    def right(self, questions: Sequence[Question]) -> dict[str, int]:
        """Returns by mode how many questions have the right document as their best hit."""
        state, right = self._index.state, dict.fromkeys(MODES, 0)
        for name in MODES:
            mode = Mode(name)
            queries = [normalised(question.query) for question in questions]
            understood = [understand(query, reading_of(query, state), state, mode) for query in queries]
            self._encode_queries([each.text for each in understood])
            plain = SearchOptions(1, mode, seconds=int(time.time()))
            for question, each in zip(questions, understood, strict=True):
                options = replace(plain, asked=Asked(each.read, ""))
                found = search(state, each.text, self._queries[each.text], options, words=each.words).documents
                right[name] += bool(found) and found[0].sequence == self._sequences.get(question.document_id)
        return right

    def _encode_queries(self, texts: Iterable[str]) -> None:
        new = [text for text in dict.fromkeys(texts) if text not in self._queries]
        chunks = [new[start : start + CHUNK_TEXTS] for start in range(0, len(new), CHUNK_TEXTS)]
        encoded = self._pool.map(lambda chunk: self._bundle.encode_texts([(t, TextKind.QUERY) for t in chunk]), chunks)
        for chunk, vectors in zip(chunks, encoded, strict=True):
            self._queries |= zip(chunk, vectors, strict=True)

    def _indexed(self) -> LiveIndex:
        """Returns an index of the documents with the examples that are tried."""
        index = exact_index(self._bundle.manifest, self._probes, folder=self._folder, weights=self._weights)
        self._sequences: dict[str, int] = {}
        documents = self._store.after(0, self.revision)
        while portion := list(islice(documents, PORTION_DOCUMENTS)):
            versions = [
                each if (texts := self._tried.get(each.document.id)) is None else self._with_examples(each, texts)
                for each in self._with_vectors(portion)
            ]
            # While a server changes the store, a document may be read twice.
            retired = [old for each in versions if (old := self._sequences.get(each.document.id)) is not None]
            index.follow(versions, retired, sequence=versions[-1].sequence)
            self._sequences |= {each.document.id: each.sequence for each in versions}
        rules = QueryRules.read(self._store.rules, self._store.sequences_of)
        index.follow([], [], sequence=self._store.sequence, rules=rules)
        index.measure()
        index.refresh()
        return index

    def _with_examples(self, stored: Versioned, examples: Sequence[str]) -> Versioned:
        new = self.encodable([text for text in examples if text not in stored.document.examples])
        encoded = {text: vectors for text in new if (vectors := self._encoded[text]) is not None}
        return with_examples(stored, examples, encoded)

    def _encode(self, documents: Sequence[Document]) -> list[Vectors]:
        return encode_documents(documents, self._bundle, map=self._pool.map)

    def _with_vectors(self, documents: Sequence[Versioned]) -> list[Versioned]:
        known = self._encoded_documents
        missing = [each for each in documents if each.vectors is None and each.sequence not in known]
        vectors = self._encode([each.document for each in missing])
        known |= zip((each.sequence for each in missing), vectors, strict=True)
        return [each._replace(vectors=known.get(each.sequence, each.vectors)) for each in documents]


def fold_of(key: str, folds: int) -> int:
    """Returns the fold of a query, from 0, always the same."""
    return zlib.crc32(key.encode()) % folds
