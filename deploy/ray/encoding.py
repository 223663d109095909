"""The bundle of an ingress, which has the tokenizers, and asks the encoders for vectors."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from server.encoding.bundle import Bundle
from server.encoding.cutting import Cutting
from server.encoding.kind import TextKind
from server.encoding.manifest import read_manifest
from server.encoding.tokenizer import Tokenizer, Tokens
from server.encoding.tower import open_tokenizer

Encode = Callable[[Sequence[Tokens]], NDArray[np.float32]]
"""Returns the vectors of tokenized texts; blocks."""


class RemoteTower:
    """The tokenizer of a tower, whose encoder another process has."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer


class RemoteBundle(Bundle):
    """A bundle without weights. Its vectors are those of the encoders, to the last bit."""

    def __init__(self, directory: Path, encode: Encode, *, cutting: Cutting) -> None:
        """Opens the tokenizers of the bundle in `directory`; raises BundleError."""
        self.directory = directory
        self.cutting = cutting
        self.manifest = read_manifest(directory, cutting=cutting)
        sides = self.manifest.towers
        self._tokenizers = {side: RemoteTower(open_tokenizer(directory, self.manifest, side)) for side in sides}
        self._towers = self._tokenizers  # type: ignore[assignment]  # They are used for their tokenizers only.
        self.fixed_tokens = {kind: self._tower_of(kind.side).tokenizer.fixed_tokens[kind] for kind in TextKind}
        self._encode = encode

    @property
    def encoder_name(self) -> str:
        """The encoders choose it."""
        return "remote"

    def encode(self, tokens: Sequence[Tokens]) -> NDArray[np.float32]:
        """Returns the vectors `[N, dimension]` of N tokenized texts."""
        return self._encode(tokens)
