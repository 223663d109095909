"""Golden vectors: texts with the vectors of the original fp32 model.

Before it accepts requests, the server compares the vectors that its CPU computes with them.
"""

from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from server.encoding.kind import TextKind
from server.errors import BundleError

GOLDEN_FILE = "golden.json"


class GoldenText(msgspec.Struct, frozen=True, kw_only=True):
    """A text with its fp32 vector."""

    text: str
    kind: TextKind
    vector: list[float]


def read_golden(path: Path, *, dimension: int) -> list[GoldenText]:
    """Reads golden vectors of a dimension; raises BundleError if the file is not such a list, or is empty."""
    try:
        golden = msgspec.json.decode(path.read_bytes(), type=list[GoldenText])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BundleError(f"{path} cannot be read: {error}; export the model again") from None
    if not golden or any(len(each.vector) != dimension for each in golden):
        raise BundleError(f"{path} has no vectors of {dimension} dimensions; export the model again")
    return golden


def cosines(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the cosine `[N]` between the rows of two `[N, dimension]` arrays; 0 where a row is zero."""
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    products: NDArray[np.float32] = np.einsum("nd,nd->n", left, right)
    result: NDArray[np.float32] = products / np.maximum(lengths, np.finfo(np.float32).tiny)
    return result
