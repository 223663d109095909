"""Reads a safetensors file: named arrays, mapped into memory rather than copied.

The format is the length of the header in eight bytes, the header in JSON, and the arrays (huggingface/safetensors,
"Format"). Processes share mapped pages, and a page uses no memory before its first access.
"""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from server.errors import BundleError

METADATA = "__metadata__"

DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "I8": np.dtype("i1")}
"""The types of a bundle's weights, by the format's names."""


class Tensor(msgspec.Struct, frozen=True):
    """Describes an array; `data_offsets` count bytes from the end of the header."""

    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


class Header(msgspec.Struct, frozen=True):
    """The arrays of a file by name, its metadata, and the offset of the arrays in bytes."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]
    start: int


def read_header(path: Path) -> Header:
    """Reads the header of a file; raises BundleError if the file is not in this format."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > path.stat().st_size:
                raise ValueError("the file is truncated")
            header = msgspec.json.decode(file.read(length), type=dict[str, Any])
        metadata = msgspec.convert(header.pop(METADATA, {}), dict[str, str])
        return Header(msgspec.convert(header, dict[str, Tensor]), metadata, 8 + length)
    except (OSError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise BundleError(f"{path} cannot be read as safetensors: {error}; export the model again") from None


def map_tensors(path: Path, header: Header) -> dict[str, NDArray[Any]]:
    """Returns the arrays of a file by name, read-only; raises BundleError if they do not match the header."""
    try:
        data: NDArray[Any] = np.memmap(path, mode="r")[header.start :]
        for name, tensor in header.tensors.items():
            first, end = tensor.data_offsets
            if not 0 <= first <= end <= data.size or min(tensor.shape, default=0) < 0:
                raise ValueError(f"{name} is outside the file")
        return {
            name: data[slice(*tensor.data_offsets)].view(DTYPES[tensor.dtype]).reshape(tensor.shape)
            for name, tensor in header.tensors.items()
        }
    except (OSError, ValueError, KeyError) as error:
        raise BundleError(f"{path} cannot be read as safetensors: {error}; export the model again") from None
