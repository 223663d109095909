"""An open bundle: the manifest and the towers of one model."""

from collections import defaultdict
from collections.abc import ItemsView, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from server.encoding.arrays import read_array
from server.encoding.cutting import DEFAULT_CUTTING, Cutting
from server.encoding.golden import GOLDEN_FILE, cosines, read_golden
from server.encoding.kind import Side, TextKind
from server.encoding.manifest import Manifest, check_files, read_manifest
from server.encoding.tokenizer import Tokens
from server.encoding.tower import Tower
from server.errors import BundleError, first_line


class Bundle:
    """The model that a server serves. Safe to share between threads.

    `cutting` says how texts are cut into passages. `fixed_tokens` is the number of tokens of a text without characters:
    the prefix of its kind and special tokens.
    """

    def __init__(self, directory: Path, *, native: bool = True, cutting: Cutting = DEFAULT_CUTTING) -> None:
        """Opens the bundle in `directory`; `native` allows the native encoder. Raises BundleError if it is damaged."""
        self.directory = directory
        self.cutting = cutting
        self.manifest: Manifest = read_manifest(directory, cutting=cutting)
        check_files(directory, self.manifest)
        if GOLDEN_FILE not in self.manifest.files:
            raise BundleError(f"{directory} has no {GOLDEN_FILE}; export the model again")
        self._towers = {side: Tower(directory, self.manifest, side, native=native) for side in self.manifest.towers}
        self.fixed_tokens = {kind: self._tower_of(kind.side).tokenizer.fixed_tokens[kind] for kind in TextKind}

    @property
    def encoder_name(self) -> str:
        """Name of the encoder, `native` or `onnxruntime`; both if the towers differ."""
        return ", ".join(dict.fromkeys(tower.encoder.name for tower in self._towers.values()))

    def verify(self) -> float:
        """Encodes the golden texts, which warms the model up; returns the worst cosine to fp32. Raises BundleError."""
        golden = read_golden(self.directory / GOLDEN_FILE, dimension=self.manifest.dimension)
        try:
            vectors = self.encode_texts([(each.text, each.kind) for each in golden])
        except Exception as error:  # ONNX Runtime's errors have no common base class.
            raise BundleError(
                f"{self.directory}: the model fails; export the model again ({first_line(error)})"
            ) from None
        worst = float(cosines(vectors, np.array([each.vector for each in golden], dtype=np.float32)).min())
        if not worst >= self.manifest.golden_cosine_floor:
            raise BundleError(
                f"{self.directory}: the model computes wrong vectors on this CPU: worst cosine to its golden vectors "
                f"{worst:.4f}, expected at least {self.manifest.golden_cosine_floor:.4f}; "
                "export it on this CPU, or with --quantization none"
            )
        return worst

    def tokenize(self, texts: Sequence[tuple[str, TextKind]]) -> list[Tokens]:
        """Returns the tokens of each text, special tokens included, cut at the maximum of its tower."""
        tokens: dict[int, Tokens] = {}
        for tower, rows in self._rows_by_tower([kind for _, kind in texts]):
            tokens |= zip(rows, tower.tokenizer.tokenize([texts[row] for row in rows]), strict=True)
        return [tokens[row] for row in range(len(texts))]

    def split(
        self, text: str, kind: TextKind, *, before: str = "", most_tokens: int | None = None
    ) -> list[tuple[int, int]]:
        """Returns the start and end of each passage that the model can encode, as `Tokenizer.split`."""
        tokenizer = self._tower_of(kind.side).tokenizer
        # Passages that end with a sentence find no more if they overlap.
        overlap_tokens = self.cutting.overlap_tokens if most_tokens is None else 0
        return tokenizer.split(text, kind, before=before, overlap_tokens=overlap_tokens, most_tokens=most_tokens)

    def encode(self, tokens: Sequence[Tokens]) -> NDArray[np.float32]:
        """Returns the vectors `[N, dimension]` of N tokenized texts, each by the tower of its kind.

        Each vector is bit-identical whatever texts are encoded with it.
        """
        vectors = np.empty((len(tokens), self.manifest.dimension), dtype=np.float32)
        for tower, rows in self._rows_by_tower([each.kind for each in tokens]):
            vectors[rows] = tower.encode([tokens[row].ids for row in rows])
        return vectors

    def encode_texts(self, texts: Sequence[tuple[str, TextKind]]) -> NDArray[np.float32]:
        """Returns the vectors `[N, dimension]` of N texts; texts that are too long are cut."""
        return self.encode(self.tokenize(texts))

    def probe_vectors(self, name: str, texts: Sequence[str]) -> dict[str, NDArray[np.float32]] | None:
        """Reads the query vectors of `texts` from the file `name`; None if it does not exist. Raises BundleError."""
        if name not in self.manifest.files:
            return None
        matrix = read_array(self.directory / name, shape=(len(texts), self.manifest.dimension))
        return dict(zip(texts, matrix, strict=True))

    def _tower_of(self, side: Side) -> Tower:
        """Returns the tower that encodes the texts of a side. A single tower encodes all texts."""
        return self._towers.get(side, self._towers[Side.QUERY])

    def _rows_by_tower(self, kinds: Sequence[TextKind]) -> ItemsView[Tower, list[int]]:
        """Returns the towers that have texts, each with their positions."""
        rows: defaultdict[Tower, list[int]] = defaultdict(list)
        for row, kind in enumerate(kinds):
            rows[self._tower_of(kind.side)].append(row)
        return rows.items()
