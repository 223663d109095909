"""Finds a model, opens it, and refuses what cannot become a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from export.errors import ExportError, library_errors

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

TOKENIZER_FILES = ("tokenizer*", "vocab*", "*.model")
"""How the files are called that any of transformers' tokenizers begins with."""


def origin_of(model: str) -> str:
    """Returns what a model is called in public: its hub id, or the name of its directory."""
    return Path(model).resolve().name if Path(model).is_dir() else model


def check_place(place: str) -> None:
    """Raises ExportError for what can be neither the directory of a text encoder nor a hub id."""
    directory = Path(place)
    if directory.is_dir() and not (directory / "config.json").is_file() and not (directory / "modules.json").is_file():
        raise ExportError(f"{place} is no model: it has neither config.json nor modules.json")
    if not directory.is_dir() and (directory.is_absolute() or place.startswith((".", "~")) or place.count("/") > 1):
        raise ExportError(f"there is no directory {place}")
    if directory.is_dir() and not any(file for pattern in TOKENIZER_FILES for file in directory.rglob(pattern)):
        raise ExportError(
            f"{place} has no tokenizer (tokenizer.json): if it is a text encoder, save its tokenizer beside it"
        )


def opening_failure(place: str) -> str:
    """Returns how a message begins that says why a model cannot be opened."""
    hint = "" if Path(place).is_dir() else ", which is no local directory: the hub did not give it"
    return f"cannot open the model {place}{hint}"


def open_model(place: str) -> SentenceTransformer:
    """Opens a directory or a hub id as a sentence-transformers model.

    Raises:
        ExportError: It cannot be opened.
    """
    from sentence_transformers import SentenceTransformer

    with library_errors(opening_failure(place)):
        model: SentenceTransformer = SentenceTransformer(place, device="cpu")
    model.default_prompt_name = None
    return model


def check_model(model: SentenceTransformer, origin: str) -> None:
    """Raises ExportError for what the exporter cannot carry over."""
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    if not isinstance(model[0], Transformer) or len(model) < 2 or not isinstance(model[1], Pooling):
        kinds = ", ".join(type(module).__name__ for module in model)
        raise ExportError(f"cannot export {origin}, a model of {kinds}: it must be a Transformer followed by Pooling")
    if not model[1].include_prompt:
        raise ExportError(f"cannot export {origin}: it leaves its prompt out of the pooling (include_prompt: false)")
    if not getattr(model.tokenizer, "is_fast", False):
        raise ExportError(f"{origin} has no fast tokenizer (tokenizer.json), which the server needs")
    highest = max(model.tokenizer.get_vocab().values(), default=0)
    try:
        known = int(model[0].auto_model.get_input_embeddings().num_embeddings)
    except (AttributeError, NotImplementedError):  # Images, characters: transformers has no one way to say so.
        raise ExportError(f"{origin} is no text encoder that can be exported: it has no table of tokens") from None
    if highest >= known:  # A text with such a token would spoil the batch that it is encoded in.
        raise ExportError(
            f"the tokenizer of {origin} has tokens up to {highest}, its model knows {known}: resize_token_embeddings "
            "was forgotten, or the tokenizer belongs to another model"
        )
    for name, parameter in model.named_parameters():
        if not parameter.isfinite().all():
            raise ExportError(
                f"{origin} holds NaN or infinity in {name.removeprefix('0.model.')}: the file is damaged, or its "
                "training has failed"
            )


def licence_of(place: str) -> str | None:
    """Returns the licence that the model's card states, or None."""
    from huggingface_hub import ModelCard

    # A directory without a card must not be looked up on the hub, where its name may be somebody else's.
    card = Path(place) / "README.md" if Path(place).is_dir() else place
    try:
        licence = ModelCard.load(card).data.license
    except Exception:  # No card, no network, no front matter: a card is a courtesy.
        return None
    return str(licence) if licence else None
