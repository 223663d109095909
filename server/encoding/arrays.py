"""Reads the small arrays of a bundle."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from server.errors import BundleError, first_line


def read_array(path: Path, *, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Reads a float32 array from a .npy file; raises BundleError if it holds anything else or is not finite."""
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BundleError(f"{path} cannot be read: {first_line(error)}; export the model again") from None
    if array.dtype != np.float32 or array.shape != shape or not np.isfinite(array).all():
        raise BundleError(f"{path} is not a finite float32 array of shape {shape}; export the model again")
    return np.asarray(array)
