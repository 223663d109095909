"""An unfinished bundle: encodes texts with its graphs as the server will, before it has a manifest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.source import SourceModel
from export.tokenizer.writing import prefer_sentencepiece
from export.towers import SourceTowers
from server.encoding.encoder import open_encoder
from server.encoding.kind import Side, TextKind
from server.encoding.manifest import Layout
from server.encoding.segmenter import TOKENIZER_FILE
from server.encoding.tokenizer import Tokenizer

Text = tuple[str, TextKind]


class Candidate:
    """Encodes texts with one graph for each tower."""

    def __init__(
        self,
        source: SourceTowers,
        graphs: Mapping[Side, tuple[Path, Layout]],
        tokenizers: Mapping[Side, Tokenizer],
    ) -> None:
        self._source = source
        self._tokenizers = tokenizers
        self._encoders = {side: open_encoder(path, layout) for side, (path, layout) in graphs.items()}

    @property
    def encoder_name(self) -> str:
        """The encoder of the towers, `native` or `onnxruntime`; both if they differ."""
        return ", ".join(dict.fromkeys(encoder.name for encoder in self._encoders.values()))

    def encode(self, texts: Sequence[Text]) -> NDArray[np.float32]:
        """Returns the vectors `[N, dimension]` of N texts; texts that are too long are truncated."""
        vectors = np.empty((len(texts), self._source.query.dimension), dtype=np.float32)
        for tower, encoder in self._encoders.items():
            rows = [row for row, (_, kind) in enumerate(texts) if self._source.tower_of(kind) is tower]
            if rows:
                tokens = self._tokenizers[tower].tokenize([texts[row] for row in rows])
                found = encoder.encode([each.ids for each in tokens])
                vectors[rows] = self._source.finished(found, tower)
        return vectors


def own_tokenizers(source: SourceTowers, directory: Path) -> dict[Side, Tokenizer]:
    """Writes each model's tokenizer, with the whole vocabulary, to its folder in `directory`, and opens it."""
    opened = {}
    for side, model in source.models.items():
        path = _saved_tokenizer(model, directory / side.value, trimmed=False)
        opened[side] = Tokenizer(path, prefixes=source.prefixes, max_tokens=model.max_tokens)
    return opened


def served_tokenizers(
    source: SourceTowers, directory: Path, texts: Sequence[Text], *, progress: Callable[[str], None]
) -> dict[Side, Tokenizer]:
    """Writes each tower's tokenizer to its folder in the bundle `directory`, and opens it as the server will.

    A sentencepiece model is written only if it gives `texts` the same tokens as the model's own tokenizer.
    """
    opened = {}
    prefixed = [source.prefixes[kind] + text for text, kind in texts]
    for side, model in source.models.items():
        path = _saved_tokenizer(model, directory / side.value, trimmed=True)
        path = prefer_sentencepiece(path, prefixed, progress=progress)
        opened[side] = Tokenizer(path, prefixes=source.prefixes, max_tokens=model.max_tokens)
    return opened


def _saved_tokenizer(model: SourceModel, folder: Path, *, trimmed: bool) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / TOKENIZER_FILE
    model.save_tokenizer(path, trimmed=trimmed)
    return path
