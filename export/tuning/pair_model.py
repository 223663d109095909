"""Trains all towers: the other documents of a batch are the negatives."""

from __future__ import annotations

from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from sentence_transformers.util import cos_sim, dot_score
from torch import Tensor

from export.towers import SourceTowers
from export.tuning.towers import Batch, ModelOptions, TrainedTowers
from server.encoding.kind import Side

SCALES = {"cosine": 20.0, "dot": 1.0}
"""The factor of similarities in the loss, by the measure of the model."""

SIMILARITIES = {"cosine": cos_sim, "dot": dot_score}


class PairModel(TrainedTowers):
    """Trains all towers: each query finds its document among those of its batch."""

    negatives_in_batch = True

    def __init__(self, source: SourceTowers, options: ModelOptions, *, symmetric: bool = True) -> None:
        """Chooses the weights to train.

        Args:
            source: The models.
            options: The options.
            symmetric: Whether documents must also find their query, not only queries their document.
        """
        super().__init__(source, options, sides=set(Side))
        similarity = source.query.similarity
        self._loss = MultipleNegativesRankingLoss(
            None,  # It compares vectors; it encodes nothing.
            scale=SCALES[similarity] if options.scale is None else options.scale,
            similarity_fct=SIMILARITIES[similarity],
            directions=("query_to_doc", "doc_to_query") if symmetric else ("query_to_doc",),
            partition_mode="per_direction",
        )

    def forward(self, pairs: Batch) -> dict[str, Tensor]:
        """Returns the loss of a batch."""
        answers = [pair.answer(epoch) for pair, epoch in pairs]
        negatives = dict.fromkeys(each.text for pair, _ in pairs for each in pair.negatives)
        columns = [[pair.query for pair, _ in pairs], answers, [each for each in negatives if each not in set(answers)]]
        vectors = [self.encode(column) for column in columns if column]
        return {"loss": self._loss.compute_loss_from_embeddings(vectors, None)}
