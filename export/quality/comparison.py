"""Compares candidates with the original model, whose vectors and hits are computed once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from export.errors import ExportError
from export.quality.closeness import closeness
from export.quality.cores import Encode, encode_all
from export.quality.corpus import Corpus
from export.quality.exact_search import exact_search
from export.quality.gate import Quality
from export.quality.invariance import invariance
from export.quality.long_texts import long_texts
from export.quality.retrieval import retrieval
from export.towers import SourceTowers
from server.encoding.golden import cosines
from server.encoding.kind import Side, TextKind
from server.encoding.passages import Text, encodables_of

DEPTH = 20
SAMPLE_TEXTS = 150
"""Texts of the quick score, and of the invariance measurement."""


class Comparison:
    """The texts of the comparison, and the original's vectors and hits.

    Attributes:
        golden: The golden texts of the bundle.
        reference: The original's vectors of the golden texts `[N, dimension]`.
    """

    def __init__(self, source: SourceTowers, corpus: Corpus, golden: Sequence[Text]) -> None:
        """Encodes all texts with the original, which takes most of the time of an export.

        It skips texts that the trimmed vocabulary tokenizes differently: their vectors are meant to differ.

        Raises:
            ExportError: After that, no documents or no queries are left.
        """
        self._corpus = corpus
        self._covered_queries = [each for each in corpus.queries if source.covers(each.query, TextKind.QUERY)]
        self._similarity = source.query.similarity
        separator = source.model(Side.DOCUMENT).title_separator
        # Parts are not split into passages: both models see the beginning of each text, which is enough to compare.
        parts: list[Text] = []
        self._owners: list[int] = []
        for position, document in enumerate(corpus.documents):
            texts = [each.text for each in encodables_of(document, separator) if source.covers(*each.text)]
            parts += texts
            self._owners += [position] * len(texts)
        if not parts or not self._covered_queries:
            raise ExportError(
                f"the corpus {corpus.name} has no documents or no queries in the languages of the trimmed vocabulary: "
                "add its languages to --languages, or set another corpus with --eval"
            )
        queries = [(query.query, TextKind.QUERY) for query in self._covered_queries]
        self.golden = [text for text in golden if source.covers(*text)]
        texts = [*self.golden, *queries, *parts]
        self._texts = [*texts, *long_texts(source, [*self.golden, *parts])]
        self._queries = slice(len(self.golden), len(self.golden) + len(queries))
        self._parts = slice(self._queries.stop, len(texts))
        self._long = slice(len(texts), None)
        self._longest_tokens = max(model.max_tokens for model in source.models.values())
        whole = source.encode_whole(self._texts)
        self._vectors = source.shortened(whole, self._texts)
        self._expected = self._search(self._vectors)
        shortened = source.query.dimension < source.query.whole_dimension
        self._found_by_whole = self._search(whole) if shortened else None
        random = np.random.default_rng(0)
        count = min(SAMPLE_TEXTS, len(texts))
        self._sample = sorted(random.choice(len(texts), count, replace=False).tolist())

    @property
    def reference(self) -> NDArray[np.float32]:
        """The original's vectors of the golden texts `[N, dimension]`."""
        return self._vectors[: len(self.golden)]

    def measure(self, encode: Encode) -> Quality:
        """Returns all measurements that the gate needs."""
        vectors = encode_all(encode, self._texts)
        return Quality(
            closeness=closeness(vectors[: self._long.start], self._vectors[: self._long.start]),
            long_texts=closeness(vectors[self._long], self._vectors[self._long]),
            longest_tokens=self._longest_tokens,
            invariance=invariance(encode, [self._texts[row] for row in self._sample]),
            retrieval=retrieval(
                self._corpus.name,
                documents=len(set(self._owners)),
                expected=self._expected,
                found=self._search(vectors),
                found_by_whole=self._found_by_whole,
                relevant=[query.relevant for query in self._covered_queries],
            ),
        )

    def worst_cosine(self, encode: Encode) -> float:
        """Returns the lowest cosine over the golden and the long texts. A cosine that is NaN counts as -1."""
        texts = [*self.golden, *self._texts[self._long]]
        reference = np.concatenate([self.reference, self._vectors[self._long]])
        return float(np.nan_to_num(cosines(encode_all(encode, texts), reference), nan=-1.0).min())

    def quick_score(self, encode: Encode) -> float:
        """Returns the mean cosine over a sample of the texts."""
        vectors = encode_all(encode, [self._texts[row] for row in self._sample])
        return closeness(vectors, self._vectors[self._sample]).cosine_mean

    def _search(self, vectors: NDArray[np.float32]) -> list[list[str]]:
        """Returns the ids that each query finds, as the server would; NaN counts as 0."""
        found = exact_search(
            np.nan_to_num(vectors[self._parts]),
            self._owners,
            np.nan_to_num(vectors[self._queries]),
            similarity=self._similarity,
            limit=DEPTH,
        )
        return [[self._corpus.documents[position].id for position in positions] for positions in found]
