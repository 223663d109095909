"""The module that is trained: the towers, and the loss of a batch of pairs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Self

import torch
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from sentence_transformers.util import cos_sim, dot_score
from torch import Tensor

from export.towers import SourceTowers
from export.tuning.pairs import Pair
from server.composition import composed
from server.encoding.passages import Text

CHUNK_TEXTS = 8
"""Texts that are encoded at a time: texts of similar length, since padding costs as much as text."""

SCALES = {"cosine": 20.0, "dot": 1.0}
"""The factor of similarities in the loss, by the measure of the model."""

Batch = Sequence[tuple[Pair, int]]
"""Pairs, each with the epoch."""


@contextlib.contextmanager
def cut(source: SourceTowers, max_tokens: int) -> Iterator[None]:
    """Cuts texts at so many tokens inside the block, unless a model cuts them before."""
    limits = {side: each.max_tokens for side, each in source.models.items()}
    try:
        for each in source.models.values():
            each.max_tokens = each.model.max_seq_length = min(each.max_tokens, max_tokens)
        yield
    finally:
        for side, each in source.models.items():
            each.max_tokens = each.model.max_seq_length = limits[side]


class PairModel(torch.nn.Module):
    """The models of a `SourceTowers`, whose weights it trains in place."""

    _keys_to_ignore_on_save = None  # transformers' trainer asks for it if a checkpoint lacks weights.

    def __init__(
        self,
        source: SourceTowers,
        *,
        symmetric: bool,
        scale: float | None,
        train_embeddings: bool,
        max_tokens: int,
    ) -> None:
        """Chooses the weights to train.

        Args:
            source: The models.
            symmetric: Whether documents must also find their query, not only queries their document.
            scale: The factor of similarities in the loss; None for the default of the measure.
            train_embeddings: Whether the embeddings of tokens are trained, too. Few labels hold few of the tokens.
            max_tokens: Tokens at which texts of a batch are cut.
        """
        super().__init__()
        self._source = source
        self._max_tokens = max_tokens
        self.towers = torch.nn.ModuleDict({side.value: model.model for side, model in source.models.items()})
        for model in source.models.values():
            model.model.requires_grad_(True)
            model.transformer.get_input_embeddings().requires_grad_(train_embeddings)
        similarity = source.query.similarity
        self._loss = MultipleNegativesRankingLoss(
            None,  # It compares vectors; it encodes nothing.
            scale=SCALES[similarity] if scale is None else scale,
            similarity_fct=cos_sim if similarity == "cosine" else dot_score,
            directions=("query_to_doc", "doc_to_query") if symmetric else ("query_to_doc",),
            partition_mode="per_direction",
        )

    def train(self, mode: bool = True) -> Self:
        """Leaves dropout off: few epochs do not overfit, and its random numbers take time on a CPU."""
        return super().train(False)  # type: ignore[no-any-return]

    def trained_weights(self) -> dict[str, Tensor]:
        """Returns the weights that are trained, by name."""
        return {name: each.detach() for name, each in self.named_parameters() if each.requires_grad}

    def forward(self, pairs: Batch) -> dict[str, Tensor]:
        """Returns the loss of a batch."""
        answers = [pair.answer(epoch) for pair, epoch in pairs]
        negatives = dict.fromkeys(each.text for pair, _ in pairs for each in pair.negatives)
        columns = [[pair.query for pair, _ in pairs], answers, [each for each in negatives if each not in set(answers)]]
        with cut(self._source, self._max_tokens):
            vectors = [self._encode(column) for column in columns if column]
        return {"loss": self._loss.compute_loss_from_embeddings(vectors, None)}

    def _encode(self, texts: Sequence[Text]) -> Tensor:
        """Returns the vectors `[N, dimension]` of texts."""
        prefixed = [composed(self._source.prefixes[kind] + text) for text, kind in texts]
        towers = [self._source.tower_of(kind) for _, kind in texts]
        order: list[int] = []
        vectors = []
        for side, model in self._source.models.items():
            rows = sorted((row for row, own in enumerate(towers) if own is side), key=lambda row: len(prefixed[row]))
            for start in range(0, len(rows), CHUNK_TEXTS):
                chunk = [prefixed[row] for row in rows[start : start + CHUNK_TEXTS]]
                vectors.append(model.model(model.model.preprocess(chunk))["sentence_embedding"])
            order += rows
        return torch.cat(vectors)[torch.tensor(order).argsort()]
