"""Reads JSONL files with one typed object per line. Errors name the line."""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from server.errors import CatalogueError

T = TypeVar("T")


def read_jsonl(path: Path, type: type[T]) -> Iterator[tuple[int, T]]:
    """Yields each object of the file with its line number, from 1. Skips blank lines.

    Raises:
        CatalogueError: The file cannot be read, or a line is not such an object.
    """
    decoder = msgspec.json.Decoder(type)
    number = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, decoder.decode(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line)
    except OSError as error:
        raise CatalogueError(f"{path} cannot be read: {error.strerror}") from None
    except msgspec.ValidationError as error:
        fields = ", ".join(getattr(type, "__struct_encode_fields__", ()))
        advice = f"; write one JSON object per line, with the fields {fields}" if fields else ""
        raise CatalogueError(f"{path}:{number}: {error}{advice}") from None
    except UnicodeDecodeError:
        raise CatalogueError(f"{path}:{number}: the line is not UTF-8: save the file as UTF-8") from None
    except msgspec.DecodeError as error:
        raise CatalogueError(f"{path}:{number}: the line is not one whole JSON object: {error}") from None
