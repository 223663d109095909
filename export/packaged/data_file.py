"""Reads a model's data file in the layout `E5S1`: sizes, vocabulary and weights.

All numbers are little-endian. The reader never reads beyond the end of the file, and checks that all sizes agree.
"""

from __future__ import annotations

import itertools
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.errors import ExportError

MAGIC = b"E5S1"
VERSION = 1
BLOCK = 32
"""Weights that share a scale."""

FP32, Q4_0 = 0, 1
Q4_0_BLOCK = np.dtype([("scale", "<f2"), ("weights", "u1", BLOCK // 2)])
BLOCKS_AT_A_TIME = 65_536


@dataclass(frozen=True)
class Sizes:
    """The sizes of the model."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    vocabulary: int
    positions: int
    token_types: int
    epsilon: float


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of the unigram model with their scores, the ids of special tokens, and the character map."""

    tokens: list[tuple[str, float]]
    first: int
    last: int
    padding: int
    unknown: int
    normalization: dict[str, str]


@dataclass(frozen=True)
class Entry:
    """The position of a tensor's numbers in the file."""

    kind: int
    elements: int
    offset: int
    size_bytes: int


class DataFile:
    """A data file in memory.

    Attributes:
        sizes: The sizes of the model.
        vocabulary: The tokenizer's data.
    """

    def __init__(self, content: bytes) -> None:
        """Reads everything but the tensors.

        Raises:
            ExportError: The file has another format, or is damaged.
        """
        self._content = content
        cursor = _Cursor(content)
        if cursor.bytes(len(MAGIC)) != MAGIC:
            raise _damaged("it does not begin with E5S1")
        (version,) = cursor.numbers("I")
        if version != VERSION:
            raise _damaged(f"it has version {version}, and only version {VERSION} is supported")
        self.sizes = _read_sizes(cursor)
        self.vocabulary = _read_vocabulary(cursor, self.sizes)
        self._entries = _read_entries(cursor)

    def tensor(self, name: str, *shape: int) -> NDArray[np.float32]:
        """Returns the weights of a tensor in fp32.

        Raises:
            ExportError: The file has no such tensor, or the tensor has another size.
        """
        entry = self._entries.get(name)
        if entry is None:
            raise _damaged(f"it has no tensor {name}")
        if entry.elements != int(np.prod(shape)):
            raise _damaged(f"tensor {name} has {entry.elements} numbers, but its shape is {shape}")
        if entry.kind == FP32:
            return np.frombuffer(self._content, "<f4", entry.elements, entry.offset).reshape(shape)
        if shape[-1] % BLOCK:
            raise _damaged(f"the rows of tensor {name} are not whole blocks")
        blocks = np.frombuffer(self._content, Q4_0_BLOCK, entry.elements // BLOCK, entry.offset)
        return _dequantize(blocks).reshape(shape)


class _Cursor:
    """Reads values from the content in order."""

    def __init__(self, content: bytes) -> None:
        self.size_bytes = len(content)
        self._content = content
        self._position = 0

    def bytes(self, count: int) -> bytes:
        start = self._skip(count)
        return self._content[start : start + count]

    def numbers(self, format: str) -> tuple[Any, ...]:
        return struct.unpack_from(f"<{format}", self._content, self._skip(struct.calcsize(f"<{format}")))

    def array(self, type: str, count: int) -> NDArray[Any]:
        if count < 0:
            raise _damaged("one of its sizes is negative")
        return np.frombuffer(self._content, type, count, self._skip(count * np.dtype(type).itemsize))

    def _skip(self, count: int) -> int:
        start = self._position
        if count > self.size_bytes - start:
            raise _damaged(f"it is truncated after {self.size_bytes} bytes")
        self._position += count
        return start


def _read_sizes(cursor: _Cursor) -> Sizes:
    counts: tuple[int, int, int, int, int, int, int] = cursor.numbers("7i")
    epsilon, block = cursor.numbers("fi")
    sizes = Sizes(*counts, epsilon)
    if block != BLOCK:
        raise _damaged(f"its blocks have {block} weights, not {BLOCK}")
    if min(counts) < 1 or sizes.hidden % sizes.heads or not 0 < epsilon < 1:
        raise _damaged("the sizes of the model are invalid")
    return sizes


def _read_vocabulary(cursor: _Cursor, sizes: Sizes) -> Vocabulary:
    count, first, last, padding, unknown = cursor.numbers("5i")
    (blob_bytes,) = cursor.numbers("Q")
    if not 0 < count <= sizes.vocabulary or not all(0 <= each < count for each in (first, last, padding, unknown)):
        raise _damaged("the size of the vocabulary or the id of a special token is invalid")
    offsets = cursor.array("<u4", count + 1).tolist()
    scores = cursor.array("<f4", count).tolist()
    blob = cursor.bytes(blob_bytes)
    if offsets[0] != 0 or offsets[-1] != blob_bytes or offsets != sorted(offsets):
        raise _damaged("the offsets of its tokens are invalid")
    try:
        tokens = [blob[start:end].decode() for start, end in itertools.pairwise(offsets)]
    except UnicodeDecodeError:
        raise _damaged("a token is not UTF-8") from None
    normalization = _read_normalization(cursor)
    return Vocabulary(list(zip(tokens, scores, strict=True)), first, last, padding, unknown, normalization)


def _read_normalization(cursor: _Cursor) -> dict[str, str]:
    count, size_bytes = cursor.numbers("iI")
    entries = _Cursor(cursor.bytes(size_bytes))
    normalization = {}
    try:
        for _ in range(count):
            character, length = entries.numbers("IB")
            normalization[chr(character)] = "".join(map(chr, entries.numbers(f"{length}I")))
    except (ValueError, OverflowError):
        raise _damaged("its character map has an invalid character") from None
    return normalization


def _read_entries(cursor: _Cursor) -> dict[str, Entry]:
    (count,) = cursor.numbers("i")
    entries = {}
    for _ in range(count):
        name = cursor.bytes(*cursor.numbers("H")).decode(errors="replace")
        entry = Entry(*cursor.numbers("BIQQ"))
        expected = {FP32: 4 * entry.elements, Q4_0: entry.elements // BLOCK * Q4_0_BLOCK.itemsize}
        if expected.get(entry.kind) != entry.size_bytes or (entry.kind == Q4_0 and entry.elements % BLOCK):
            raise _damaged(f"the size of tensor {name} does not match its numbers")
        if entry.offset + entry.size_bytes > cursor.size_bytes:
            raise _damaged(f"it is truncated before the end of tensor {name}")
        entries[name] = entry
    return entries


def _dequantize(blocks: NDArray[np.void]) -> NDArray[np.float32]:
    """Returns the weights of blocks: the low halves of the bytes are the first 16 weights, the high halves the last."""
    weights = np.empty((len(blocks), BLOCK), np.float32)
    for start in range(0, len(blocks), BLOCKS_AT_A_TIME):  # In parts, so that temporary arrays stay small.
        part = slice(start, start + BLOCKS_AT_A_TIME)
        nibbles = blocks["weights"][part]
        weights[part, : BLOCK // 2] = nibbles & 15
        weights[part, BLOCK // 2 :] = nibbles >> 4
        weights[part] -= 8
        weights[part] *= blocks["scale"][part, np.newaxis].astype(np.float32)
    return weights


def _damaged(reason: str) -> ExportError:
    return ExportError(f"the model's data file is damaged: {reason}; export again with an unchanged file")
