"""Encodes documents, passage by passage, without the pipeline: before they are served, or to measure a bundle."""

import builtins
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from server.catalogue.document import Document
from server.catalogue.encoded import Vectors
from server.encoding.bundle import Bundle
from server.encoding.passages import Text, passages_of
from server.errors import BundleError, ChajaError, first_line

CHUNK_TEXTS = 32
"""Texts that are encoded at a time."""


def encode_documents(
    documents: Sequence[Document],
    bundle: Bundle,
    *,
    map: Callable[..., Iterable[NDArray[np.float32]]] = builtins.map,
    check: Callable[[], None] = lambda: None,
) -> list[Vectors]:
    """Returns the vectors of each document. Blocks until all are encoded.

    `map` applies the encoder to chunks of texts; pass an executor's `map` to use several threads. `check` is called
    before each chunk and may raise an error to stop. Raises BundleError if the model fails on a document or finds no
    tokens in one.
    """

    def encode(chunk: Sequence[Text]) -> NDArray[np.float32]:
        check()
        return _encode(chunk, bundle)

    passages = []
    for document in documents:
        try:
            passages.append(passages_of(document, bundle))
        except ChajaError as error:
            raise BundleError(f"{bundle.directory}: document {document.id!r}: {error}") from None
    texts = [text for each in passages for text in each.texts]
    chunks = [texts[start : start + CHUNK_TEXTS] for start in range(0, len(texts), CHUNK_TEXTS)]
    matrix = np.concatenate([np.empty((0, bundle.manifest.dimension), dtype=np.float32), *map(encode, chunks)])
    ends = accumulate(len(each.texts) for each in passages)
    return [Vectors(each.spans, matrix[end - len(each.texts) : end]) for each, end in zip(passages, ends, strict=True)]


def _encode(texts: Sequence[Text], bundle: Bundle) -> NDArray[np.float32]:
    tokens = bundle.tokenize(texts)
    for (text, _), each in zip(texts, tokens, strict=True):
        if not each.ids:
            raise BundleError(f"{bundle.directory}: the model has no tokens for {text[:40]!r}: change the text")
    try:
        return bundle.encode(tokens)
    except Exception as error:  # ONNX Runtime's errors have no common base class.
        raise BundleError(
            f"{bundle.directory}: the model fails on the texts {texts[0][0][:40]!r} … {texts[-1][0][:40]!r}; "
            f"export it again ({first_line(error)})"
        ) from error
