"""Reads JSONL files with one typed object per line. Errors name the line and the value, and say what to do."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from server.catalogue.jsonl_advice import explained, wrong_format, wrong_line
from server.errors import CatalogueError
from server.files import is_pipe_or_device

T = TypeVar("T")

MAX_LINE_BYTES = 2**24
"""Maximum size of a line, since decoding holds the GIL. A document of a million escaped characters has 12 million."""

UTF8_MARK = b"\xef\xbb\xbf"


def read_jsonl(path: Path, type: type[T]) -> Iterator[tuple[int, T]]:
    """Yields each object of the file with its line number, from 1. Skips blank lines. Raises CatalogueError."""
    decoder = msgspec.json.Decoder(type)
    number, line, begun = 0, b"", False
    try:
        if is_pipe_or_device(path):
            raise CatalogueError(f"{path} is not a regular file: write the lines to one")
        with path.open("rb") as file:
            for number, read in enumerate(iter(partial(file.readline, MAX_LINE_BYTES + 1), b""), start=1):
                line = read.removeprefix(UTF8_MARK) if number == 1 else read
                if not line.strip():
                    continue
                if not begun and (problem := wrong_format(line, path)) is not None:
                    raise CatalogueError(f"{path}:{number}: {problem}")
                begun = True
                if len(read) > MAX_LINE_BYTES:
                    long = f"the line has more than {MAX_LINE_BYTES} bytes"
                    raise CatalogueError(f"{path}:{number}: {long}: write one object per line, and split large ones")
                yield number, decoder.decode(line)
    except OSError as error:
        raise CatalogueError(f"{path} cannot be read: {error.strerror}") from None
    except msgspec.ValidationError as error:
        raise CatalogueError(f"{path}:{number}: {explained(str(error), line, decoder)}") from None
    except UnicodeDecodeError:
        raise CatalogueError(f"{path}:{number}: the line is not UTF-8: save the file as UTF-8") from None
    except msgspec.DecodeError as error:
        raise CatalogueError(f"{path}:{number}: {wrong_line(line, str(error))}") from None
