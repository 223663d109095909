"""The towers as a module that is trained."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from export.towers import SourceTowers
from export.tuning.pairs import Pair
from server.composition import composed
from server.encoding.cpu import cpuinfo
from server.encoding.kind import Side
from server.encoding.passages import Text

CHUNK_TEXTS = 16
"""Texts that are encoded at a time: texts of similar length, since padding costs as much as text."""

Batch = Sequence[tuple[Pair, int]]
"""Pairs, each with the epoch."""


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """The options of a model that is trained.

    Attributes:
        scale: The factor of similarities in the loss; None for the default of the measure.
        train_embeddings: Whether the embeddings of tokens are trained, too. Few labels hold few of the tokens.
        max_tokens: Tokens at which texts of a batch are cut.
    """

    scale: float | None = None
    train_embeddings: bool = False
    max_tokens: int = 128


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


@contextlib.contextmanager
def fast_kernels() -> Iterator[None]:
    """Computes in bfloat16 on a CPU with AMX, which is faster than float32; the weights stay float32.

    In bfloat16 on a CPU, PyTorch computes the gradients of its fused attention more slowly than those of plain products
    of matrices.
    """
    if "amx_bf16" not in cpuinfo("flags").split():
        yield
        return
    with torch.autocast("cpu", torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
        yield


class TrainedTowers(torch.nn.Module):
    """The models of a `SourceTowers`, whose weights are trained in place. A subclass has the loss.

    Attributes:
        source: The models.
        sides: The towers that are trained.
        max_tokens: Tokens at which texts of a batch are cut.
    """

    _keys_to_ignore_on_save = None  # transformers' trainer asks for it if a checkpoint lacks weights.

    negatives_in_batch: ClassVar[bool]
    """Whether the documents of a batch are the negatives of its other pairs."""

    def __init__(self, source: SourceTowers, options: ModelOptions, *, sides: Set[Side]) -> None:
        """Chooses the weights to train.

        Args:
            source: The models.
            options: The options.
            sides: The towers to train.
        """
        super().__init__()
        self.source = source
        self.sides = sides
        self.max_tokens = options.max_tokens
        self.towers = torch.nn.ModuleDict({side.value: model.model for side, model in source.models.items()})
        for side, model in source.models.items():
            model.model.requires_grad_(side in sides)
            model.transformer.get_input_embeddings().requires_grad_(side in sides and options.train_embeddings)

    def prepare(self, pairs: Sequence[Pair]) -> None:
        """Gets ready to train with the pairs, with the untrained weights."""

    def train(self, mode: bool = True) -> Self:
        """Leaves dropout off: few epochs do not overfit, and its random numbers take time on a CPU."""
        return super().train(False)  # type: ignore[no-any-return]

    def trained_weights(self) -> dict[str, Tensor]:
        """Returns the weights that are trained, by name."""
        return {name: each.detach() for name, each in self.named_parameters() if each.requires_grad}

    def encode(self, texts: Sequence[Text]) -> Tensor:
        """Returns the vectors `[N, dimension]` of N texts, with gradients."""
        prefixed = [composed(self.source.prefixes[kind] + text) for text, kind in texts]
        towers = [self.source.tower_of(kind) for _, kind in texts]
        order: list[int] = []
        vectors = []
        with cut(self.source, self.max_tokens), fast_kernels():
            for side, model in self.source.models.items():
                rows = sorted(
                    (row for row, own in enumerate(towers) if own is side), key=lambda row: len(prefixed[row])
                )
                for start in range(0, len(rows), CHUNK_TEXTS):
                    chunk = [prefixed[row] for row in rows[start : start + CHUNK_TEXTS]]
                    vectors.append(model.model(model.model.preprocess(chunk))["sentence_embedding"].float())
                order += rows
        return torch.cat(vectors)[torch.tensor(order).argsort()]
