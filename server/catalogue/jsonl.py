"""Reads JSONL files with one typed object per line. Errors name the line and the value, and say what to do."""

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from server.catalogue.jsonl_advice import explained, wrong_format, wrong_line
from server.errors import CatalogueError
from server.files import is_pipe_or_device

T = TypeVar("T")

MAX_LINE_BYTES = 2**24
"""Maximum size of a line, since decoding holds the GIL. A document of a million escaped characters has 12 million."""

UTF8_MARK = b"\xef\xbb\xbf"


class Lines(NamedTuple):
    """Whole lines of a file, from the byte `start` up to `end`, and the number of the first one."""

    start: int = 0
    end: int = sys.maxsize
    first: int = 1


ALL_LINES = Lines()


def split_jsonl(path: Path, *, size_bytes: int) -> Iterator[Lines]:
    """Yields all lines of a file, at least `size_bytes` at a time but for the last ones. Raises CatalogueError."""
    try:
        _check_regular(path)
        with path.open("rb") as file:
            start, first = 0, 1
            while read := file.read(size_bytes):
                read += file.readline(MAX_LINE_BYTES + 1)
                yield Lines(start, start + len(read), first)
                start, first = start + len(read), first + read.count(b"\n")
    except OSError as error:
        raise CatalogueError(f"{path} cannot be read: {error.strerror}") from None


def read_jsonl(path: Path, type: type[T], lines: Lines = ALL_LINES) -> Iterator[tuple[int, T]]:
    """Yields each object of the lines with its line number, from 1. Skips blank lines. Raises CatalogueError."""
    decoder = msgspec.json.Decoder(type)
    number, line, begun = 0, b"", lines.start > 0
    left_bytes = lines.end - lines.start
    try:
        _check_regular(path)
        with path.open("rb") as file:
            file.seek(lines.start)
            for number, read in enumerate(iter(partial(file.readline, MAX_LINE_BYTES + 1), b""), start=lines.first):
                if left_bytes <= 0:
                    return
                left_bytes -= len(read)
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
    except RecursionError:
        raise CatalogueError(f"{path}:{number}: objects or arrays are nested too deeply: leave them out") from None
    except UnicodeDecodeError:
        raise CatalogueError(f"{path}:{number}: the line is not UTF-8: save the file as UTF-8") from None
    except msgspec.DecodeError as error:
        raise CatalogueError(f"{path}:{number}: {wrong_line(line, str(error))}") from None


def _check_regular(path: Path) -> None:
    if is_pipe_or_device(path):
        raise CatalogueError(f"{path} is not a regular file: write the lines to one")
