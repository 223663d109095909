from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from server.encoding.arrays import read_array
from server.errors import BundleError


@pytest.mark.parametrize(
    "content",
    [b"", b"not an array", np.ones(3, np.float64), np.ones(4, np.float32), np.full(3, np.nan, np.float32)],
    ids=["empty", "text", "doubles", "another dimension", "not finite"],
)
def test_an_invalid_array_is_rejected_in_one_line(tmp_path: Path, content: bytes | NDArray[np.float32]) -> None:
    path = tmp_path / "array.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    with pytest.raises(BundleError) as raised:
        read_array(path, shape=(3,))
    assert "export the model again" in str(raised.value)
    assert "\n" not in str(raised.value)
