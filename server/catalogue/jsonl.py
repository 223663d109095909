"""Reads JSONL files with one typed object per line. Errors name the line and the value, and say what to do."""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from server.catalogue.jsonl_advice import explained, wrong_format, wrong_line
from server.errors import CatalogueError

T = TypeVar("T")

UTF8_MARK = b"\xef\xbb\xbf"


def read_jsonl(path: Path, type: type[T]) -> Iterator[tuple[int, T]]:
    """Yields each object of the file with its line number, from 1. Skips blank lines. Raises CatalogueError."""
    decoder = msgspec.json.Decoder(type)
    number, line, begun = 0, b"", False
    try:
        with path.open("rb") as file:
            for number, read in enumerate(file, start=1):
                line = read.removeprefix(UTF8_MARK) if number == 1 else read
                if not line.strip():
                    continue
                if not begun and (problem := wrong_format(line, path)) is not None:
                    raise CatalogueError(f"{path}:{number}: {problem}")
                begun = True
                yield number, decoder.decode(line)
    except OSError as error:
        raise CatalogueError(f"{path} cannot be read: {error.strerror}") from None
    except msgspec.ValidationError as error:
        raise CatalogueError(f"{path}:{number}: {explained(str(error), line, decoder)}") from None
    except UnicodeDecodeError:
        raise CatalogueError(f"{path}:{number}: the line is not UTF-8: save the file as UTF-8") from None
    except msgspec.DecodeError as error:
        raise CatalogueError(f"{path}:{number}: {wrong_line(line, str(error))}") from None
