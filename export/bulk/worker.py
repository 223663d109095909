"""The code that Ray's workers run: it reads portions, and encodes them. It imports no torch."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from export.bulk.checking import read_again
from export.bulk.portions import (
    documents_of,
    encoded_row,
    error_of,
    error_row,
    portion_row,
    portions_of,
    work_of,
)
from server.encoding.bundle import Bundle
from server.encoding.cutting import Cutting
from server.encoding.documents import encode_documents
from server.errors import BundleError, ChajaError


def read_portions(table: pyarrow.Table) -> Iterator[pyarrow.Table]:
    """Yields the portions of a row of work that have to be encoded."""
    try:
        for portion in portions_of(read_again(work_of(table))):
            yield portion_row(portion)
    except ChajaError as error:
        yield error_row(_here(error))


class Encoder:
    """An open bundle, which encodes portions on one core as a server does."""

    def __init__(self, directory: str, cutting: Cutting, revision: str) -> None:
        """Opens and verifies the bundle. If it is not the one of the `revision`, all portions become its error."""
        self._bundle: Bundle | None = None
        self._error = ""
        try:
            bundle = Bundle(Path(directory), cutting=Cutting(*cutting))
            if bundle.manifest.revision != revision:
                raise BundleError(f"{directory} has another bundle than the machine of the command")
            bundle.verify()
        except (ChajaError, OSError) as error:
            self._error = _here(error)
        else:
            self._bundle = bundle

    def __call__(self, table: pyarrow.Table) -> pyarrow.Table:
        """Returns the encoded portion of a row, or the row of its error."""
        if error_of(table) is not None:
            return table
        if self._bundle is None:
            return error_row(self._error)
        started = time.process_time()
        try:
            vectors = encode_documents(documents_of(table), self._bundle)
        except ChajaError as error:
            return error_row(_here(error))
        return encoded_row(table, vectors, time.process_time() - started)


def _here(error: Exception) -> str:
    return f"{error} (on the worker {socket.gethostname()})"
