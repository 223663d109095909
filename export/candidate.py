"""A bundle in the making: encodes texts by its graphs as the server will, before there is a manifest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.tokenizer.writing import prefer_sentencepiece
from export.towers import SourceTowers
from server.encoding.encoder import open_encoder
from server.encoding.manifest import Layout
from server.encoding.segmenter import TOKENIZER_FILE
from server.encoding.tokenizer import TextKind, Tokenizer

Text = tuple[str, TextKind]


class Candidate:
    """Encodes by one graph for each tower."""

    def __init__(
        self,
        source: SourceTowers,
        graphs: Mapping[TextKind, tuple[Path, Layout]],
        tokenizers: Mapping[TextKind, Tokenizer],
    ) -> None:
        self._source = source
        self._tokenizers = tokenizers
        self._encoders = {kind: open_encoder(path, layout) for kind, (path, layout) in graphs.items()}

    @property
    def encoder_name(self) -> str:
        """What runs the towers, `native` or `onnxruntime`; both where they differ."""
        return ", ".join(dict.fromkeys(encoder.name for encoder in self._encoders.values()))

    def encode(self, texts: Sequence[Text]) -> NDArray[np.float32]:
        """Returns the vectors `[N, dimension]` of N texts, cut where they are too long."""
        vectors = np.empty((len(texts), self._source.query.dimension), dtype=np.float32)
        for tower, encoder in self._encoders.items():
            rows = [row for row, (_, kind) in enumerate(texts) if self._source.tower_of(kind) is tower]
            if rows:
                tokens = self._tokenizers[tower].tokenize([texts[row] for row in rows])
                vectors[rows] = encoder.encode([each.ids for each in tokens])
        return vectors


def open_tokenizers(
    source: SourceTowers, directory: Path, texts: Sequence[Text], *, progress: Callable[[str], None]
) -> dict[TextKind, Tokenizer]:
    """Writes the tokenizer of each tower to its folder in `directory`, and opens it as the server will.

    A sentencepiece model is written only if it gives `texts` the same tokens as the model's own tokenizer.
    """
    opened = {}
    prefixed = [source.prefixes[kind] + text for text, kind in texts]
    for kind, model in source.models.items():
        path = directory / kind.value / TOKENIZER_FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        model.save_tokenizer(path)
        path = prefer_sentencepiece(path, prefixed, progress=progress)
        opened[kind] = Tokenizer(path, prefixes=source.prefixes, max_tokens=model.max_tokens)
    return opened
