"""Decoys: the vectors of queries that a catalogue does not answer.

A query that is nearer to a decoy than to every document has no answer. This is a better test than the best score alone:
short queries, such as `play music`, score higher than long ones whatever they ask for.
"""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray


class Decoys(NamedTuple):
    """The decoys of one language.

    Attributes:
        vectors: Their vectors `[N, dimension]`, at unit length.
        margin: Difference by which the similarity of a decoy must exceed that of every document.
        weight: Factor of the similarities of documents, also applied to those of decoys.
    """

    vectors: NDArray[np.float32]
    margin: float
    weight: float = 1.0

    @classmethod
    def of(cls, vectors: NDArray[np.float32]) -> Self:
        """Returns decoys whose margin is one standard deviation of their similarities to each other."""
        similarities = vectors @ vectors.T
        others = similarities[~np.eye(len(vectors), dtype=np.bool_)]
        return cls(vectors, float(others.std()))

    def unanswered(self, best: Sequence[float], *, weight: float = 1.0) -> Self:
        """Returns the decoys without an answer: no document is nearer by the margin than the nearest other decoy.

        `best` has the best score of each decoy in the catalogue, where titles have the factor `weight`.
        """
        similarities = self.vectors @ self.vectors.T
        np.fill_diagonal(similarities, -1)
        kept = np.array(best) < weight * (similarities.max(axis=1) + self.margin)
        return self._replace(vectors=self.vectors[kept], weight=weight)

    def threshold(self, vector: NDArray[np.float32]) -> float:
        """Returns the score below which a document is not a good answer to a query; -1 if there are no decoys."""
        if not len(self.vectors):
            return -1.0
        return self.weight * (float((self.vectors @ vector).max()) - self.margin)
