"""Rejects tokenizers of opened models whose tokens the server would read differently than transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.errors import ExportError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def check_tokenizer(model: SentenceTransformer, origin: str) -> None:
    """Raises ExportError if the server cannot use the model's tokenizer, or would give other vectors with it."""
    tokenizer = model.tokenizer
    if not getattr(tokenizer, "is_fast", False):
        raise ExportError(f"{origin} has no fast tokenizer (tokenizer.json), which the server needs")
    highest = max(tokenizer.get_vocab().values(), default=0)
    try:
        known = int(model[0].auto_model.get_input_embeddings().num_embeddings)
    except (AttributeError, NotImplementedError):  # Models of images or characters fail in different ways.
        raise ExportError(f"{origin} is not a text encoder that can be exported: it has no token embeddings") from None
    if highest >= known:  # A text with such a token would make its whole batch fail.
        raise ExportError(
            f"the tokenizer of {origin} has token ids up to {highest}, but the model has only {known} embeddings: call "
            "resize_token_embeddings, or use the model's own tokenizer"
        )
    if tokenizer.truncation_side != "right":
        raise ExportError(
            f"the tokenizer of {origin} keeps the end of a long text (truncation_side {tokenizer.truncation_side}), "
            "but the server keeps its beginning: such models are not supported"
        )
    if any(tokenizer("a").get("token_type_ids", ())):
        raise ExportError(
            f"the tokenizer of {origin} gives texts a token type other than 0 (type_id in the post_processor of "
            "tokenizer.json), but the server uses only type 0: such models are not supported"
        )
    _check_padding(model, origin)


def _check_padding(model: SentenceTransformer, origin: str) -> None:
    """Raises ExportError if positions count from another padding id than the tokenizer's, as RoBERTa's do."""
    stated = model.tokenizer.pad_token_id
    for name, module in model[0].named_modules():
        counted_from = getattr(module, "padding_idx", None) if name.endswith("position_embeddings") else None
        if counted_from not in (None, stated):
            raise ExportError(
                f"the positions of {origin} count from pad_token_id {counted_from} of its config.json, but the "
                f"pad_token of its tokenizer has the id {stated}: correct the wrong one"
            )
