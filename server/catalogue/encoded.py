"""A document with the vectors of one model."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.catalogue.document import Document


class Vectors(NamedTuple):
    """The vectors `matrix` `[V, dimension]` of a document, and the passage of each.

    A row of `spans` `[V, 3]` has the index of the vector's part in `parts_of(document)`, and the start and end of its
    passage in the part's text, in characters.
    """

    spans: NDArray[np.int32]
    matrix: NDArray[np.float32]


class Versioned(NamedTuple):
    """A version of a document from the store. `vectors` is None if the model has not encoded it yet."""

    sequence: int
    document: Document
    vectors: Vectors | None
