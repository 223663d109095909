"""The error of the exporter, and the conversion of library errors to it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from server.errors import first_line


class ExportError(Exception):
    """The model cannot be exported; the message says why and what to do, on one line."""


@contextlib.contextmanager
def library_errors(failure: str) -> Iterator[None]:
    """Turns any exception inside the block into an ExportError whose message begins with `failure`.

    torch, transformers and optimum raise many kinds of exceptions, which have no common base.
    """
    try:
        yield
    except ExportError:
        raise
    except Exception as error:
        raise ExportError(f"{failure}: {_in_one_line(error)}") from error


def _in_one_line(error: Exception) -> str:
    """Returns the first line of a message, and the others if it only introduces them, as torch's for weights do."""
    line = first_line(error)
    return " ".join(str(error).split()) if line.endswith(":") else line
