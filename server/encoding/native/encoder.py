"""Runs the compiled library: an encoder of the packed layout."""

import ctypes
import threading
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from server.encoding.native.architecture import ARCHITECTURE, Architecture, can_lay_out
from server.encoding.native.library import load_library
from server.encoding.native.weights import aligned_bytes, lay_out
from server.encoding.tensors import map_tensors, read_header
from server.errors import BundleError

RUN_TOKENS = 168
"""Most tokens in a run, which has at least one text: twelve full tiles of rows (product.h), whose results fit into the
second-level cache."""


class NativeEncoder:
    """Encodes with the packed layout, in C."""

    name = "native"

    def __init__(
        self,
        library: ctypes.CDLL,
        architecture: Architecture,
        tensors: Mapping[str, NDArray[Any]],
        *,
        run_tokens: int = RUN_TOKENS,
    ) -> None:
        self._library = library
        self._weights = lay_out(architecture, tensors)
        self._run_tokens = run_tokens
        self._workspaces = threading.local()
        self.dimension = self._weights.hidden

    def encode(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Returns the vectors `[N, dimension]` of N texts given as token ids; each is bit-identical in every batch.

        Raises ValueError if a text is empty or too long, or a token is not in the vocabulary.
        """
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        lengths = np.fromiter(map(len, texts), dtype=np.int32, count=len(texts))
        if not len(lengths):
            return vectors
        token_ids = np.fromiter(chain.from_iterable(texts), dtype=np.int32, count=int(lengths.sum()))
        longest = int(lengths.max())
        # The library does not check bounds.
        if not 1 <= lengths.min() <= longest <= self._weights.max_tokens:
            raise ValueError(f"texts have 1 to {self._weights.max_tokens} tokens, not {lengths.min()} to {longest}")
        if not 0 <= token_ids.min() <= token_ids.max() < self._weights.vocabulary:
            raise ValueError(
                f"tokens are 0 to {self._weights.vocabulary - 1}, not {token_ids.min()} to {token_ids.max()}"
            )
        self._library.chaja_encode(
            ctypes.byref(self._weights.encoder),
            len(lengths),
            token_ids.ctypes.data,
            lengths.ctypes.data,
            self._run_tokens,
            self._workspace(max(self._run_tokens, longest), longest),
            vectors.ctypes.data,
        )
        return vectors

    def _workspace(self, tokens: int, longest: int) -> int:
        """Returns the address of this thread's workspace, which is large enough."""
        needed = self._library.chaja_workspace_bytes(ctypes.byref(self._weights.encoder), tokens, longest)
        memory: NDArray[np.uint8] | None = getattr(self._workspaces, "memory", None)
        if memory is None or memory.size < needed:
            memory = self._workspaces.memory = aligned_bytes(needed)
        return memory.ctypes.data


def open_native(weights: Path, *, run_tokens: int = RUN_TOKENS) -> NativeEncoder | None:
    """Opens the native encoder of a packed model by its weights.

    Returns None if the library is not built or does not fit this CPU or the model; ONNX Runtime then runs the model.
    Raises BundleError if the file is damaged.
    """
    library = load_library()
    if library is None or not weights.is_file():
        return None
    header = read_header(weights)
    if ARCHITECTURE not in header.metadata:
        return None
    try:
        architecture = msgspec.json.decode(header.metadata[ARCHITECTURE], type=Architecture)
        tensors = map_tensors(weights, header)
        if not can_lay_out(architecture, tensors):
            return None
        return NativeEncoder(library, architecture, tensors, run_tokens=run_tokens)
    except (KeyError, ValueError, msgspec.MsgspecError) as error:
        raise BundleError(f"{weights} does not match its metadata ({error}); export the model again") from None
