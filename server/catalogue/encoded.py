"""A document with its vectors: what one model has made of it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.catalogue.document import Document


class Vectors(NamedTuple):
    """The vectors `[V, dimension]` of a document, and the passage that each stands for.

    A row of `spans` `[V, 3]` has the position of the vector's part in `parts_of(document)`, and where its passage
    starts and ends in the part's text, in characters.
    """

    spans: NDArray[np.int32]
    matrix: NDArray[np.float32]


class Versioned(NamedTuple):
    """A version of a document as it was read from the store; no vectors where the model has not seen it yet."""

    sequence: int
    document: Document
    vectors: Vectors | None
