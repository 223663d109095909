"""Replaces the example queries of an encoded document without encoding its other parts again."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from server.catalogue.document import Field, parts_of
from server.catalogue.encoded import Vectors, Versioned


def with_examples(stored: Versioned, examples: Sequence[str], encoded: Mapping[str, Vectors]) -> Versioned:
    """Returns an encoded document with other example queries.

    Its vectors are those of its other parts, of the examples that it has already, and of `encoded`, which holds the
    vectors of each new example as the only part of a document.
    """
    assert stored.vectors is not None, "the document is encoded"
    document = msgspec.structs.replace(stored.document, examples=list(examples))
    first = sum(part.field is not Field.EXAMPLE for part in parts_of(document))
    own, matrix = stored.vectors
    spans, matrices = [own[own[:, 0] < first]], [matrix[own[:, 0] < first]]
    for position, text in enumerate(examples):
        if text in stored.document.examples:
            rows = own[:, 0] == first + stored.document.examples.index(text)
            found = Vectors(own[rows], matrix[rows])
        else:
            found = encoded[text]
        moved = found.spans.copy()
        moved[:, 0] = first + position
        spans.append(moved)
        matrices.append(found.matrix)
    return Versioned(stored.sequence, document, Vectors(np.concatenate(spans), np.concatenate(matrices)))
