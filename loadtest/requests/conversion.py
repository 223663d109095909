"""Makes values of placeholders fit fields: a number becomes text where a message has text, for example."""

import json
import re
from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from loadtest.errors import UsageError

TRUTHS = {"true": True, "1": True, "false": False, "0": False}
BASE64 = re.compile("[A-Za-z0-9+/_-]*={0,2}")

Convert = Callable[[Any], Any]


def converter_of(field: FieldDescriptor | None) -> Convert | None:
    """Returns the function that makes a value fit a field; `None` if every value stays."""
    if field is None:
        return None
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return None
    if field.type == FieldDescriptor.TYPE_STRING:
        return as_text
    if field.type == FieldDescriptor.TYPE_BOOL:
        return _as_truth
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _as_base64
    return message_converter(field.message_type)


def message_converter(descriptor: Descriptor | None) -> Convert | None:
    """Returns the function that makes a value fit a message that is a wrapper; `None` for other messages."""
    name = descriptor.full_name if descriptor is not None else ""
    return {
        "google.protobuf.StringValue": as_text,
        "google.protobuf.BoolValue": _as_truth,
        "google.protobuf.BytesValue": _as_base64,
    }.get(name)


def converted(value: Any, convert: Convert) -> Any:
    """Returns a converted value, or a list of converted elements."""
    return [convert(each) for each in value] if isinstance(value, list) else convert(value)


def as_text(value: Any) -> Any:
    """Returns a number or truth value as text; other values stay."""
    return written(value) if isinstance(value, int | float) else value


def _as_truth(value: Any) -> Any:
    """Returns the truth value that a text stands for, such as a cell of a CSV file; other values stay."""
    return TRUTHS.get(value.lower(), value) if isinstance(value, str) else value


def _as_base64(value: Any) -> Any:
    """Returns the value; protobuf would skip the characters of a text that are not base64."""
    if value is not None and not (isinstance(value, str) and BASE64.fullmatch(value)):
        raise UsageError(f"a field of bytes takes base64, not {str(value)[:40]!r}")
    return value


def written(value: Any) -> str:
    """Returns a value within a longer text: a text as it is, others as in JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
