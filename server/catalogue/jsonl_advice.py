"""Advice for files that are not JSONL, and for lines with wrong fields: what is wrong, and what to do about it."""

import re
from pathlib import Path
from typing import Any

import msgspec

from server.nearest import nearest_name

COMPRESSED = {
    b"\x1f\x8b": "gzip -dc",
    b"BZh": "bzip2 -dc",
    b"\xfd7zXZ\x00": "xz -dc",
    b"\x28\xb5\x2f\xfd": "zstd -dc",
    b"PK\x03\x04": "unzip -p",
}
"""The first bytes of a compressed file, and the command that prints its content."""

UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")

NEW_FILE = "new.jsonl"
"""The file that the commands of the advice write. Its name must differ from that of the file they read."""


def wrong_format(first_line: bytes, path: Path) -> str | None:
    """Returns the problem of a file whose first line that is not blank shows that it is not JSONL; None if it may be.

    The line has no mark of UTF-8.
    """
    for begin, command in COMPRESSED.items():
        if first_line.startswith(begin):
            return f"the file is compressed: decompress it: {command} {path} > {NEW_FILE}"
    marked = first_line.startswith(UTF16_MARKS)
    if marked or b"\x00" in first_line:
        encoding = "UTF-16" if marked else "UTF-16LE" if first_line[1:2] == b"\x00" else "UTF-16BE"
        return f"the file is UTF-16, not UTF-8: convert it: iconv -f {encoding} -t UTF-8 {path} > {NEW_FILE}"
    line = first_line.strip()
    if line.startswith(b"["):
        return f"the file is a JSON array; write one object per line: {_jq('.[]', path)}"
    if not line.startswith(b"{") and any(each in line for each in b",;\t"):
        return "the file looks like CSV: write each row as a JSON object, one per line, without a header"
    if line == b"{" or _ends_early(line):
        return f"the object continues on the next line; write one object per line: {_jq('.', path)}"
    return None


def wrong_line(line: bytes, message: str) -> str:
    """Returns the problem of a line that is not JSON, given the decoder's message."""
    problem = f"the line is not one whole JSON object: {message}"
    if not line.endswith(b"\n") and "truncated" in message:
        return f"{problem}; the file ends within it: write the file again in full"
    return f"{problem}; write one JSON object per line"


def explained(message: str, line: bytes, decoder: msgspec.json.Decoder[Any]) -> str:
    """Returns msgspec's message about a wrong field, with the key that it writes as `[...]`, and with advice."""
    fields = msgspec.structs.fields(decoder.type)
    if " - at `$" not in message:  # It is about the object as a whole.
        return f"{message}; {_advice_for_object(message, line, [field.encode_name for field in fields])}"
    if inside := re.search(r"`\$\.(\w+)\[\.\.\.\]", message):
        message = message.replace("[...]", _first_wrong(line, inside[1], message, decoder), 1)
    if wrong := re.match(r"Invalid enum value .* - at `\$\.(\w+)`$", message):
        values = next(field.type for field in fields if field.encode_name == wrong[1])
        return f"{message}; write {' or '.join(each.value for each in values)}"
    if "got `null`" in message:
        required = tuple(f"`$.{field.encode_name}`" for field in fields if field.required)
        return f"{message}; fill it" if message.endswith(required) else f"{message}; leave it out"
    if message.startswith(("Expected `str` of length >= 1", "Expected `array` of length >= 1")):
        return f"{message}; it is empty: fill it"
    if message.startswith(("Expected `str`, got `int`", "Expected `str`, got `float`", "Number out of range")):
        return f"{message}; put it in quotes"
    return message


def _advice_for_object(message: str, line: bytes, fields: list[str]) -> str:
    advice = f"write one JSON object per line, with the fields {', '.join(fields)}"
    if (unknown := re.search(r"unknown field `(.*)`$", message)) is None:
        return advice
    value = _whole(line).get(unknown[1])
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return f"its objects may be the lines: jq -c '.[\"{unknown[1]}\"][]'; {advice}"
    if (nearest := nearest_name(unknown[1], fields)) is not None:
        return f"perhaps {nearest} is meant; {advice}"
    return f"put it into attributes; {advice}" if "attributes" in fields else advice


def _jq(filter: str, path: Path) -> str:
    return f"jq -c '{filter}' {path} > {NEW_FILE}"


def _ends_early(line: bytes) -> bool:
    """Returns whether a line ends within an object where a formatter breaks lines."""
    if line[-1:] not in b",[{":
        return False
    try:
        msgspec.json.decode(line)
    except msgspec.DecodeError as error:
        return "truncated" in str(error)
    return False


def _first_wrong(line: bytes, field: str, message: str, decoder: msgspec.json.Decoder[Any]) -> str:
    """Returns the first key in a field of the line whose value alone causes the same message, with a dot before it.

    Returns `[...]` if the line cannot be read without a type.
    """
    whole = _whole(line)
    if not whole:
        return "[...]"
    for key, value in whole[field].items():
        try:
            decoder.decode(msgspec.json.encode({**whole, field: {key: value}}))
        except msgspec.ValidationError as error:
            if str(error) == message:
                return f".{key}"
    raise AssertionError(f"no key of {field} causes: {message}")


def _whole(line: bytes) -> dict[str, Any]:
    """Returns the object of a line; an empty one if a number is out of range or the nesting too deep."""
    try:
        whole: dict[str, Any] = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return whole
