"""A model to export: its properties and its fp32 vectors.

Every model is opened as a sentence-transformers model. A plain transformers model gets mean pooling, but a
causal one (`…ForCausalLM` in its `architectures`) its last token; `export.dpr` converts DPR's encoders. Models that
cannot become a bundle are rejected.
"""

from __future__ import annotations

import importlib
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from export.checks.files import check_files
from export.checks.model_files import ModelFiles
from export.checks.weight_names import fitting_weights
from export.dpr import find_dpr, title_separator
from export.errors import ExportError, library_errors
from export.opening import (
    check_model,
    check_place,
    licence_of,
    open_model,
    origin_of,
)
from export.packaged.models import PackagedModel, find_packaged
from export.vocabulary.trimming import trim_vocabulary
from server.composition import composed
from server.cpus import usable_cpus
from server.encoding.kind import Side, TextKind
from server.encoding.manifest import Pooling
from server.encoding.shortening import shortened
from server.similarity import Similarity

UNBOUNDED_TOKENS = 1_000_000
"""A stated maximum of this many tokens or more means that the model has none."""

DEFAULT_MAX_TOKENS = 512
"""Maximum tokens of a model that states none. Most encoders were trained with it."""

MOST_TOKENS = 8192
"""Maximum tokens of a model that states more, unless the caller sets it. Attention takes memory for each pair of
tokens, and the comparison encodes a text of the maximum."""

BATCH_TEXTS = 32

BATCH_TOKENS = 2048
"""Maximum tokens in a batch for the original, unless a single text has more. Each core has a batch in memory."""

PROMPTS = {
    TextKind.QUERY: ("query",),
    TextKind.TITLE: ("title", "document", "passage"),
    TextKind.TEXT: ("text", "document", "passage"),
    TextKind.EXAMPLE: ("example", "query"),
}
"""Names of the prompts (sentence-transformers) that become prefixes; the first one that a model has is used."""


class SourceModel:
    """A model in fp32.

    Attributes:
        name: Short name, without the owner or the path.
        origin: The hub id or package of the model, or the name of its directory.
        licence: Licence in the model's card, or None.
        model: The sentence-transformers model, on CPU.
        made_for: The only side that it encodes, or None for both.
        title_separator: The text between a document's title and its text, or None if they are encoded separately.
        similarity: The measure for its vectors; vectors of a cosine model have unit length.
        prefixes: The prefix of each kind of text.
        dimension: Number of floats in a vector of the bundle.
        max_tokens: Maximum tokens of a text.
        trimmed: The bundle's trimmed vocabulary, or None for the whole one. The model itself keeps the whole one.
    """

    def __init__(
        self,
        model: str | None,
        *,
        name: str | None = None,
        prefixes: Mapping[TextKind, str] | None = None,
        languages: Sequence[str] = (),
        max_tokens: int | None = None,
        dimensions: int | None = None,
    ) -> None:
        """Opens a local directory, a packaged model by its name, a hub id, or the default model (None).

        A name of None means the last part of `model`. A kind of text without an entry in `prefixes` gets the model's
        prompt, if any. The bundle's vocabulary is trimmed to `languages`, codes of `export.vocabulary`; with no codes
        it stays whole. Texts are cut at `max_tokens`; None means the model's own maximum, and at most 8192.
        Vectors have the first `dimensions` numbers; None means what the model states as `truncate_dim`, or all.

        Raises:
            ExportError: The model does not exist, or cannot become a bundle.
        """
        packaged = find_packaged(model)
        place = str(_directory_while_importing(packaged)) if packaged else str(model)
        self.origin = packaged.origin if packaged else origin_of(place)
        self.name = name or (packaged.name if packaged else self.origin.rpartition("/")[2])
        check_place(place)
        files = ModelFiles(place)
        folder, config = check_files(files)
        dpr = find_dpr(place, config)
        with library_errors(files.opening_failure), fitting_weights(self.origin):
            self.model = dpr.open() if dpr else open_model(files, folder)
        self.model.eval()
        check_model(self.model, self.origin)
        self.made_for = dpr.made_for if dpr else None
        contexts = self.made_for is Side.DOCUMENT
        self.title_separator = title_separator(self.model.tokenizer, self.origin) if contexts else None
        self.licence = licence_of(place)
        self.similarity = self._checked_similarity()
        given = prefixes or {}
        self.prefixes = {kind: given[kind] if kind in given else self._prompt(names) for kind, names in PROMPTS.items()}
        self.dimension = self._dimension(dimensions)
        self.max_tokens = self._max_tokens(max_tokens)
        self.model.max_seq_length = self.max_tokens
        self._unit_length()
        tokenizer = self.model.tokenizer.backend_tokenizer
        self.trimmed = trim_vocabulary(tokenizer, languages, name=self.origin) if languages else None
        self._kept_ids = frozenset(self.trimmed.kept_ids.tolist()) if self.trimmed else None

    def covers(self, text: str, kind: TextKind) -> bool:
        """Returns whether a text has the same tokens in the trimmed vocabulary as in the whole one."""
        tokens = self.model.tokenizer.backend_tokenizer.encode(self.prefixes[kind] + text)
        return self._kept_ids is None or self._kept_ids.issuperset(tokens.ids)

    @property
    def pooling(self) -> Pooling:
        """The method that pools token vectors into one vector."""
        known: tuple[Pooling, ...] = get_args(Pooling)
        return next((mode for mode in known if mode == getattr(self.model[1], "pooling_mode", None)), "other")

    @property
    def transformer(self) -> Any:
        """The transformers model inside."""
        return self.model[0].auto_model

    @property
    def dense(self) -> Any | None:
        """The linear layer (torch.nn.Linear) after the pooling, or None."""
        from sentence_transformers.sentence_transformer.modules import Dense

        module: Any = self.model[2] if len(self.model) > 2 else None
        linear = isinstance(module, Dense) and type(module.activation_function).__name__ == "Identity"
        return module.linear if linear else None

    @property
    def has_more_modules(self) -> bool:
        """Whether anything but a linear layer and a normalisation follows the pooling."""
        return len(self.model) > 2 + (self.dense is not None) + self.normalise

    @property
    def whole_dimension(self) -> int:
        """Number of floats in a vector of the model."""
        return int(self.model.get_sentence_embedding_dimension() or 0)

    def encode(self, texts: Sequence[tuple[str, TextKind]]) -> NDArray[np.float32]:
        """Returns the fp32 vectors `[N, dimension]` of N texts."""
        return shortened(self.encode_whole(texts), self.dimension, unit_length=self.normalise)

    def encode_whole(self, texts: Sequence[tuple[str, TextKind]]) -> NDArray[np.float32]:
        """Returns the whole fp32 vectors `[N, whole_dimension]` of N texts."""
        prefixed = [composed(self.prefixes[kind] + text) for text, kind in texts]
        vectors = np.empty((len(texts), self.whole_dimension), dtype=np.float32)
        with library_errors(f"{self.name} cannot encode the texts for the comparison"):
            batches = list(self._batches(prefixed))
            # Tokenizers are not safe to share between threads, models are.
            inputs = [self.model.preprocess([prefixed[row] for row in rows]) for rows in batches]
            with ThreadPoolExecutor(usable_cpus()) as pool:
                for rows, found in zip(batches, pool.map(self._forward, inputs), strict=True):
                    vectors[rows] = found
        return vectors

    def _forward(self, inputs: dict[str, Any]) -> NDArray[np.float32]:
        """Returns the vectors of a batch, as the model's `encode` does, which would tokenize here."""
        import torch

        with torch.inference_mode():
            found: NDArray[np.float32] = self.model(inputs)["sentence_embedding"].float().numpy()
        return found

    def _batches(self, texts: Sequence[str]) -> Iterator[list[int]]:
        """Yields the positions of some texts with the same number of tokens, so that the reference needs no padding."""
        rows: dict[int, list[int]] = defaultdict(list)
        for row, ids in enumerate(self._tokenize(texts)):
            if not ids:
                raise ExportError(f"{self.name} has no tokens for the text {texts[row][:40]!r} of the comparison")
            rows[len(ids)].append(row)
        for length, alike in rows.items():
            size = max(1, min(BATCH_TEXTS, BATCH_TOKENS // length))
            yield from (alike[start : start + size] for start in range(0, len(alike), size))

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Returns the token ids of texts with the prefix of queries; texts that are too long are truncated."""
        return self._tokenize([self.prefixes[TextKind.QUERY] + text for text in texts])

    def token_ends(self, text: str) -> list[int]:
        """Returns the end of each token of a text, in characters; without prefix and special tokens."""
        found = self.model.tokenizer(text, add_special_tokens=False, truncation=False, return_offsets_mapping=True)
        return [end for _, end in found["offset_mapping"]]

    def _tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        if not texts:  # transformers' tokenizers fail on an empty list.
            return []
        ids: list[list[int]] = self.model.tokenizer(list(texts), truncation=True, max_length=self.max_tokens)[
            "input_ids"
        ]
        return ids

    def save_tokenizer(self, path: Path, *, trimmed: bool) -> None:
        """Writes tokenizer.json: the bundle's if `trimmed`, otherwise the model's own."""
        if trimmed and self.trimmed is not None:
            path.write_text(self.trimmed.tokenizer_json, encoding="utf-8")
        else:
            self.model.tokenizer.backend_tokenizer.save(str(path))

    def _checked_similarity(self) -> Similarity:
        for similarity in get_args(Similarity):
            if self.model.similarity_fn_name == similarity:
                known: Similarity = similarity
                return known
        given = self.model.similarity_fn_name
        raise ExportError(f"{self.origin} compares vectors by {given}; the server supports only cosine and dot")

    def _prompt(self, names: Sequence[str]) -> str:
        prompts = self.model.prompts or {}
        return next((prompt for name in names if (prompt := prompts.get(name))), "")

    def _dimension(self, chosen: int | None) -> int:
        """Returns the number of floats in a vector: the chosen one, the stated one, or all."""
        stated = self.model.truncate_dim
        self.model.truncate_dim = None  # The library does not give shortened vectors unit length.
        whole = self.whole_dimension
        if chosen is not None:
            if not 1 <= chosen <= whole:
                raise ExportError(f"--dimensions {chosen}: the vectors of {self.origin} have {whole} dimensions")
            return chosen
        if stated is None:
            return whole
        if type(stated) is not int or stated < 1:
            raise ExportError(
                f"config_sentence_transformers.json of {self.origin} has truncate_dim {stated!r}, which is not a whole "
                "number above 0; --dimensions overrides it"
            )
        return min(stated, whole)

    def _max_tokens(self, chosen: int | None) -> int:
        """Returns the maximum tokens of a text: the chosen one, or the one that settings and positions allow."""
        stated = self.model.max_seq_length
        positions = [
            # RoBERTa and similar models count positions from the padding id.
            module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1)
            for name, module in self.model[0].named_modules()
            if name.endswith("position_embeddings") and hasattr(module, "num_embeddings")
        ]
        if not positions:  # Rotary positions have no table, only a stated maximum.
            positions = [getattr(self.transformer.config, "max_position_embeddings", None)]
        # A tokenizer without a maximum states 1e30.
        bounds = [bound for bound in (stated, *positions) if bound and bound < UNBOUNDED_TOKENS]
        own = min(bounds, default=DEFAULT_MAX_TOKENS)
        prefixes = sorted(set(self.prefixes.values()))
        fewest = 1 + max(map(len, self.model.tokenizer(prefixes)["input_ids"]))
        if own < fewest:
            raise ExportError(
                f"{self.origin} has no room for a text: at most {own} tokens (max_seq_length, model_max_length), of "
                f"which {fewest - 1} are special or a prefix"
            )
        if chosen is None:
            return min(own, MOST_TOKENS)
        if not fewest <= chosen <= own:
            raise ExportError(f"--max-tokens {chosen}: {self.origin} encodes texts of {fewest} to {own} tokens")
        return chosen

    def _unit_length(self) -> None:
        """Adds a normalisation to a cosine model, so that the server's inner product is the cosine."""
        from sentence_transformers.sentence_transformer.modules import Normalize

        if self.similarity == "cosine" and not isinstance(self.model[-1], Normalize):
            self.model.append(Normalize())

    @property
    def normalise(self) -> bool:
        """Whether vectors have unit length."""
        return type(self.model[-1]).__name__ == "Normalize"


def _directory_while_importing(packaged: PackagedModel) -> Path:
    """Returns the directory of a packaged model, while a thread imports the libraries that will open it."""
    importing = threading.Thread(target=importlib.import_module, args=("sentence_transformers",), daemon=True)
    importing.start()
    directory = packaged.directory()
    importing.join()  # Another import of the same packages meanwhile would fail.
    return directory
