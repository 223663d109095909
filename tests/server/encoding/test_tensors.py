import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from server.encoding.tensors import map_tensors, read_header
from server.errors import BundleError

TENSORS: dict[str, NDArray[Any]] = {
    "a.b": np.arange(6, dtype=np.float32).reshape(2, 3),
    "c": np.arange(-4, 4, dtype=np.int8),
}


def test_arrays_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file(TENSORS, path, {"what": "a test"})
    header = read_header(path)
    assert header.metadata == {"what": "a test"}
    found = map_tensors(path, header)
    assert set(found) == set(TENSORS)
    for name, array in found.items():
        np.testing.assert_array_equal(array, TENSORS[name])
        assert not array.flags.writeable


def write(path: Path, header: Any, *, data: bytes = bytes(64)) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [16], "data_offsets": [0, 128]},
        {"dtype": "F32", "shape": [8], "data_offsets": [-64, -32]},
        {"dtype": "F32", "shape": [0], "data_offsets": [64, 0]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [0, 64]},
        {"dtype": "F32", "shape": [5], "data_offsets": [0, 64]},
        {"dtype": "F64", "shape": [8], "data_offsets": [0, 64]},
        {"dtype": "I8", "shape": [64], "data_offsets": [0, 2**70]},
        {"dtype": "I8", "shape": "many", "data_offsets": [0, 64]},
    ],
)
def test_a_header_that_contradicts_the_file_is_rejected(tmp_path: Path, entry: dict[str, Any]) -> None:
    path = write(tmp_path / "x.safetensors", {"a": entry})
    with pytest.raises(BundleError, match=r"cannot be read as safetensors: .*; export the model again"):
        map_tensors(path, read_header(path))


@pytest.mark.parametrize("header", [b"{", b"[1]", b"[" * 100_000, b"\xff"])
def test_an_invalid_header_is_rejected(tmp_path: Path, header: bytes) -> None:
    with pytest.raises(BundleError, match="cannot be read as safetensors"):
        read_header(write(tmp_path / "x.safetensors", header))
    short = tmp_path / "short.safetensors"
    short.write_bytes((2**40).to_bytes(8, "little"))
    with pytest.raises(BundleError, match="the file is truncated"):
        read_header(short)
