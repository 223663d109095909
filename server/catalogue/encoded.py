"""A document with its vectors: what one model has made of it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.catalogue.document import Document


class Vectors(NamedTuple):
    """The vectors of a document, and the passage of it that each stands for.

    Attributes:
        spans: For each vector the position of its part in `parts_of(document)`, and where its passage starts and ends
            in the part's text, in characters `[V, 3]`.
        matrix: The vectors `[V, dimension]`.
    """

    spans: NDArray[np.int32]
    matrix: NDArray[np.float32]


class Versioned(NamedTuple):
    """A version of a document as it was read from the store; no vectors where the model has not seen it yet."""

    sequence: int
    document: Document
    vectors: Vectors | None
