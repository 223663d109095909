"""The one error of the exporter, and how the libraries' many errors become it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from server.errors import first_line


class ExportError(Exception):
    """The model cannot be exported; the message says why and what to do, on one line."""


@contextlib.contextmanager
def library_errors(failure: str) -> Iterator[None]:
    """Turns whatever a library raises inside the block into an ExportError that begins with `failure`.

    torch, transformers and optimum raise all kinds of exceptions, and have no common base for them.
    """
    try:
        yield
    except ExportError:
        raise
    except Exception as error:
        raise ExportError(f"{failure}: {first_line(error)}") from error
