"""Finds and opens a model, and rejects models that cannot become a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from export.checks.model_files import ModelFiles
from export.checks.tokenizer import check_tokenizer
from export.checks.tokenizer_files import explain_tokenizer
from export.errors import ExportError
from export.packaged.models import PACKAGED_MODELS, find_packaged

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


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


def open_model(files: ModelFiles, folder: str) -> SentenceTransformer:
    """Opens a model as a sentence-transformers model; raises whatever the libraries raise.

    Args:
        files: The files of the model, which were checked.
        folder: The folder of its transformers model.

    Raises:
        ExportError: The tokenizer is the cause.
    """
    from sentence_transformers import SentenceTransformer

    try:
        # The model's own settings may ask for half precision, but the original of the comparison is in fp32.
        model: SentenceTransformer = SentenceTransformer(
            files.place, device="cpu", trust_remote_code=False, model_kwargs={"dtype": "float32"}
        )
    except ExportError:  # The weights do not fit.
        raise
    except Exception:
        explain_tokenizer(files, folder)
        raise
    model.default_prompt_name = None
    return model


def check_model(model: SentenceTransformer, origin: str) -> None:
    """Raises ExportError if the exporter does not support the model."""
    if not model[1].include_prompt:
        raise ExportError(f"cannot export {origin}: its pooling excludes the prompt (include_prompt: false)")
    stated, actual = model[1].embedding_dimension, model[0].get_embedding_dimension()
    if stated != actual:
        raise ExportError(
            f"the pooling of {origin} expects token vectors of {stated} dimensions, but its transformers model gives "
            f"{actual}: correct embedding_dimension in the pooling's config.json"
        )
    check_tokenizer(model, origin)
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
