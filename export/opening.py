"""Finds and opens a model, and rejects models that cannot become a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from export.errors import ExportError, library_errors
from export.packaged.models import PACKAGED_MODELS, find_packaged

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

TOKENIZER_FILES = ("tokenizer*", "vocab*", "*.model")
"""Patterns of the files from which transformers loads a tokenizer."""


def origin_of(model: str) -> str:
    """Returns the public name of a model: its hub id, or the name of its directory."""
    return Path(model).resolve().name if Path(model).is_dir() else model


def check_place(place: str) -> None:
    """Raises ExportError if `place` is neither the directory of a text encoder nor a possible hub id."""
    directory = Path(place)
    if directory.is_dir() and not (directory / "config.json").is_file() and not (directory / "modules.json").is_file():
        raise ExportError(f"{place} is not a model: it has neither config.json nor modules.json")
    if not directory.is_dir() and (directory.is_absolute() or place.startswith((".", "~")) or place.count("/") > 1):
        raise ExportError(f"there is no directory {place}")
    if directory.is_dir() and not any(file for pattern in TOKENIZER_FILES for file in directory.rglob(pattern)):
        raise ExportError(
            f"{place} has no tokenizer (tokenizer.json): if it is a text encoder, save its tokenizer there"
        )


def opening_step(model: str | None) -> str:
    """Returns the progress line for opening a model; it lists the packaged models if the name has no owner (`/`).

    Raises:
        ExportError: As for `check_place`.
    """
    if packaged := find_packaged(model):
        return f"opening {packaged.name}, or downloading it"
    place = str(model)
    check_place(place)
    if Path(place).is_dir():
        return f"opening {place}"
    others = "" if "/" in place else f"; the packaged models are {' and '.join(PACKAGED_MODELS)}"
    return f"downloading {place} from the model hub{others}"


def opening_failure(place: str) -> str:
    """Returns the beginning of the message for a model that cannot be opened."""
    hint = "" if Path(place).is_dir() else ", which is not a local directory and could not be loaded from the hub"
    return f"cannot open the model {place}{hint}"


def open_model(place: str) -> SentenceTransformer:
    """Opens a directory or a hub id as a sentence-transformers model.

    Raises:
        ExportError: The model cannot be opened.
    """
    from sentence_transformers import SentenceTransformer

    with library_errors(opening_failure(place)):
        model: SentenceTransformer = SentenceTransformer(place, device="cpu")
    model.default_prompt_name = None
    return model


def check_model(model: SentenceTransformer, origin: str) -> None:
    """Raises ExportError if the exporter does not support the model."""
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    if not isinstance(model[0], Transformer) or len(model) < 2 or not isinstance(model[1], Pooling):
        kinds = ", ".join(type(module).__name__ for module in model)
        raise ExportError(f"cannot export {origin}, a model of {kinds}: it must be a Transformer followed by Pooling")
    if not model[1].include_prompt:
        raise ExportError(f"cannot export {origin}: its pooling excludes the prompt (include_prompt: false)")
    if not getattr(model.tokenizer, "is_fast", False):
        raise ExportError(f"{origin} has no fast tokenizer (tokenizer.json), which the server needs")
    highest = max(model.tokenizer.get_vocab().values(), default=0)
    try:
        known = int(model[0].auto_model.get_input_embeddings().num_embeddings)
    except (AttributeError, NotImplementedError):  # Models of images or characters fail in different ways.
        raise ExportError(f"{origin} is not a text encoder that can be exported: it has no token embeddings") from None
    if highest >= known:  # A text with such a token would make its whole batch fail.
        raise ExportError(
            f"the tokenizer of {origin} has token ids up to {highest}, but the model has only {known} embeddings: call "
            "resize_token_embeddings, or use the model's own tokenizer"
        )
    for name, parameter in model.named_parameters():
        if not parameter.isfinite().all():
            raise ExportError(
                f"{origin} has NaN or infinity in {name.removeprefix('0.model.')}: the file is damaged, or the "
                "training failed"
            )


def licence_of(place: str) -> str | None:
    """Returns the licence in the model's card, or None."""
    from huggingface_hub import ModelCard

    # Do not look up a directory without a card on the hub: another model may have its name there.
    card = Path(place) / "README.md" if Path(place).is_dir() else place
    try:
        licence = ModelCard.load(card).data.license
    except Exception:  # No card, no network or no front matter: the licence is optional.
        return None
    return str(licence) if licence else None
