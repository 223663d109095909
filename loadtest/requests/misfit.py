"""Why a payload does not fit its message, in the words of this program instead of protobuf's and Python's.

A message of another version of protobuf that none of these patterns matches stays as it is.
"""

import re

_NO_FIELD = re.compile(
    r'Message type "(?P<type>[^"]+)" has no field named "(?P<name>.*?)" at "[^"]*"\. '
    r'Available Fields\(except extensions\): "\[(?P<known>.*?)\]"'
)
_OTHERS = (
    (re.compile(r"Failed to parse (\S+) field: "), r"\1: "),
    (re.compile(r"invalid literal for int\(\) with base 10: (\S*)$"), r"\1 is not a whole number"),
    (re.compile(r"expected string or bytes-like object, got '\w+'$"), "expected a text"),
)


def reason_of(error: Exception) -> str:
    """Returns the reason of protobuf's error in one line."""
    reason = " ".join(str(error).split()).rstrip(".")  # protobuf adds a dot for each message around the field.
    reason = _NO_FIELD.sub(lambda found: _no_field(found["type"], found["name"], found["known"]), reason)
    for pattern, plain in _OTHERS:
        reason = pattern.sub(plain, reason)
    return reason


def _no_field(message: str, name: str, known: str) -> str:
    fields = known.replace("'", "")
    return f"{message} has no field {name}" + (f"; it has {fields}" if fields else "")
