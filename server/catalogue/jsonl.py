"""Reads JSONL files with one typed object per line. Errors name the line and the value."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from server.errors import CatalogueError

T = TypeVar("T")


def read_jsonl(path: Path, type: type[T]) -> Iterator[tuple[int, T]]:
    """Yields each object of the file with its line number, from 1. Skips blank lines. Raises CatalogueError."""
    decoder = msgspec.json.Decoder(type)
    number, line = 0, b""
    try:
        with path.open("rb") as file:
            for number, read in enumerate(file, start=1):
                line = read.removeprefix(b"\xef\xbb\xbf") if number == 1 else read
                if line.strip():
                    yield number, decoder.decode(line)
    except OSError as error:
        raise CatalogueError(f"{path} cannot be read: {error.strerror}") from None
    except msgspec.ValidationError as error:
        raise CatalogueError(f"{path}:{number}: {_explained(str(error), line, decoder)}") from None
    except UnicodeDecodeError:
        raise CatalogueError(f"{path}:{number}: the line is not UTF-8: save the file as UTF-8") from None
    except msgspec.DecodeError as error:
        raise CatalogueError(f"{path}:{number}: the line is not one whole JSON object: {error}") from None


def _explained(message: str, line: bytes, decoder: msgspec.json.Decoder[Any]) -> str:
    """Returns msgspec's message with the key that it writes as `[...]`, and with advice."""
    if " - at `$" not in message:  # It is about the object as a whole.
        fields = ", ".join(field.encode_name for field in msgspec.structs.fields(decoder.type))
        return f"{message}; write one JSON object per line, with the fields {fields}"
    if inside := re.search(r"`\$\.(\w+)\[\.\.\.\]", message):
        message = message.replace("[...]", f".{_first_wrong(line, inside[1], message, decoder)}", 1)
    required = tuple(f"`$.{field.encode_name}`" for field in msgspec.structs.fields(decoder.type) if field.required)
    return f"{message}; leave it out" if "got `null`" in message and not message.endswith(required) else message


def _first_wrong(line: bytes, field: str, message: str, decoder: msgspec.json.Decoder[Any]) -> str:
    """Returns the first key in a field of the line whose value alone causes the same message."""
    whole = msgspec.json.decode(line)
    for key, value in whole[field].items():
        try:
            decoder.decode(msgspec.json.encode({**whole, field: {key: value}}))
        except msgspec.ValidationError as error:
            if str(error) == message:
                return str(key)
    raise AssertionError(f"no key of {field} causes: {message}")
