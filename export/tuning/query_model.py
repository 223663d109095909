"""Trains the tower of queries only: the other documents with labels are the negatives."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from sentence_transformers.util import cos_sim, dot_score
from torch import Tensor

from export.towers import SourceTowers
from export.tuning.pairs import Pair, groups_of, trained_texts
from export.tuning.towers import Batch, ModelOptions, TrainedTowers
from server.catalogue.document import Document
from server.encoding.kind import Side

SCALES = {"cosine": 50.0, "dot": 1.0}
"""The factor of similarities in the loss, by the measure of the model."""


class QueryModel(TrainedTowers):
    """Trains the tower of queries: each query finds its document among all that have labels.

    The vectors of the documents do not change. They are computed once, of whole texts, so a batch costs no more than
    its queries, and has every negative. Documents without labels are no negatives: they would only be pushed away.
    """

    negatives_in_batch = False

    def __init__(self, source: SourceTowers, documents: Sequence[Document], options: ModelOptions) -> None:
        """Encodes nothing yet.

        Args:
            source: Two towers.
            documents: All documents.
            options: The options.
        """
        super().__init__(source, options, sides={Side.QUERY})
        similarity = source.query.similarity
        self._scale = SCALES[similarity] if options.scale is None else options.scale
        self._similarity = {"cosine": cos_sim, "dot": dot_score}[similarity]
        self._documents = documents
        self._columns: dict[str, int] = {}

    def prepare(self, pairs: Sequence[Pair]) -> None:
        """Encodes the documents with labels."""
        groups = groups_of(self._documents)
        self._columns = {group: column for column, group in enumerate(sorted({g for p in pairs for g in p.relevant}))}
        separator = self.source.model(Side.DOCUMENT).title_separator
        texts = [
            (self._columns[groups[document.id]], text)
            for document in self._documents
            if groups[document.id] in self._columns
            for text in trained_texts(document, separator)
        ]
        self._owners = torch.tensor([column for column, _ in texts])
        self._vectors = torch.from_numpy(self.source.encode_whole([text for _, text in texts]))

    def forward(self, pairs: Batch) -> dict[str, Tensor]:
        """Returns the loss of a batch."""
        queries = self.encode([pair.query for pair, _ in pairs])
        similarities = self._similarity(queries, self._vectors) * self._scale
        # The best part of a document counts, as in a search.
        owners = self._owners.expand(len(pairs), -1)
        scores = similarities.new_full((len(pairs), len(self._columns)), -torch.inf)
        scores = scores.scatter_reduce(1, owners, similarities, "amax")
        relevant = torch.zeros_like(scores, dtype=torch.bool)
        for row, (pair, _) in enumerate(pairs):
            relevant[row, [self._columns[group] for group in pair.relevant]] = True
        found = scores.masked_fill(~relevant, -torch.inf).logsumexp(1)
        return {"loss": (scores.logsumexp(1) - found).mean()}
