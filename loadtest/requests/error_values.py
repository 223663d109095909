"""The gRPC code and the message that a value in an answer stands for: a status, a number, an enum, a text."""

from collections.abc import Iterator
from typing import Any

from google.protobuf import message_factory, wrappers_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.rpc import status_pb2

from loadtest.codes import CODES, OK, REFUSED, UNKNOWN
from loadtest.requests.descriptors import CHAJA, descriptor_of
from loadtest.requests.fields import map_value

CODE, MESSAGE, REASON, DETAILS = "code", "message", "reason", "details"
STATUS, ANY, VALUE = "google.rpc.Status", "google.protobuf.Any", "google.protobuf.Value"
WRAPPERS = {kind.full_name for kind in wrappers_pb2.DESCRIPTOR.message_types_by_name.values()}
GOOD, NEGATED = {"OK", "SUCCESS"}, {"NO", "NON", "NOT"}
"""Last words of an enum's names for no error, unless a word before negates them."""

CODE_TYPES = {
    FieldDescriptor.CPPTYPE_INT32,
    FieldDescriptor.CPPTYPE_INT64,
    FieldDescriptor.CPPTYPE_UINT32,
    FieldDescriptor.CPPTYPE_UINT64,
    FieldDescriptor.CPPTYPE_ENUM,
}
CHAJA_REFUSAL = f"{CHAJA}.FeedbackRefusal"
REFUSALS = {
    "FEEDBACK_REFUSAL_REASON_UNKNOWN_DOCUMENT": CODES.index("NOT_FOUND"),
    "FEEDBACK_REFUSAL_REASON_TOO_MANY": REFUSED,
}
"""Codes of the reasons of `FeedbackRefusal`, which has no code."""


def outcomes_of_field(owner: Message, field: FieldDescriptor) -> Iterator[tuple[int, str]]:
    """Yields code and message of each part that a field describes; a part without an error has the code OK."""
    value = getattr(owner, field.name)
    if of_map := map_value(field):
        yield from (_outcome(of_map, value[key]) for key in sorted(value))
    elif field.is_repeated:
        yield from (_outcome(field, each) for each in value)
    elif field.has_presence and not owner.HasField(field.name):
        yield OK, ""
    else:
        yield _outcome(field, value)


def _outcome(field: FieldDescriptor, value: Any) -> tuple[int, str]:
    """Returns code and message of a value of a field."""
    if isinstance(value, Message):
        return outcome_of_message(value)
    if field.enum_type is not None:
        return _outcome_of_enum(field.enum_type, value)
    if isinstance(value, bool):
        return (UNKNOWN, f"{field.name} is true") if value else (OK, "")
    if isinstance(value, int | float):
        return (int(value) if value in range(len(CODES)) else UNKNOWN), ""
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return (CODES.index(text) if text in CODES else UNKNOWN, text) if text else (OK, "")


def outcome_of_message(value: Message) -> tuple[int, str]:
    """Returns code and message of a message: it has a code, holds one value, or is an error because it is set."""
    descriptor = descriptor_of(type(value))
    fields = descriptor.fields_by_name
    if descriptor.full_name in WRAPPERS:
        return _outcome(fields["value"], getattr(value, "value"))  # noqa: B009  Message has no such attribute.
    if descriptor.full_name == VALUE:
        kind = value.WhichOneof("kind")
        return _outcome(fields[kind], getattr(value, kind)) if kind else (OK, "")
    if descriptor.full_name == ANY and (content := unpacked(value)) is not None:
        return outcome_of_message(content)
    code, reason = UNKNOWN, ""
    for name in (REASON, CODE):  # A code counts more than a reason.
        if name in fields and not fields[name].is_repeated:
            code, said = _outcome(fields[name], getattr(value, name))
            reason = reason or said
    if CODE not in fields:
        code = code or UNKNOWN
    said = getattr(value, MESSAGE, "")
    return code, str(said) or reason or " ".join(str(value).split())


def _outcome_of_enum(kind: EnumDescriptor, number: int) -> tuple[int, str]:
    """Returns the code that a value stands for by its name, and the name; 0 stands for OK."""
    if not number:
        return OK, ""
    value = kind.values_by_number.get(number)
    name = value.name if value is not None else str(number)
    if name in REFUSALS:
        return REFUSALS[name], name
    *before, last = name.split("_")
    if last in GOOD and not NEGATED.intersection(before):
        return OK, ""
    codes = [number for number, code in enumerate(CODES) if number != OK and f"_{name}".endswith(f"_{code}")]
    return max(codes, key=lambda code: len(CODES[code]), default=UNKNOWN), name


def is_status(kind: Descriptor) -> bool:
    """Returns whether a type of message is one for errors."""
    if kind.full_name in (STATUS, CHAJA_REFUSAL):
        return True
    fields = kind.fields_by_name
    code, message, details = (fields.get(name) for name in (CODE, MESSAGE, DETAILS))
    if code is None or message is None or message.type != message.TYPE_STRING:
        return False
    if code.is_repeated or message.is_repeated or code.cpp_type not in CODE_TYPES:
        return False
    detail = details.message_type if details is not None else None
    return kind.file.package == CHAJA or (detail is not None and detail.full_name == ANY)


def unpacked(value: Any) -> Message | None:
    """Returns the message in a `google.protobuf.Any`; `None` if its type is not known, or it is malformed."""
    name = value.type_url.rpartition("/")[2]
    try:
        found = value.DESCRIPTOR.file.pool.FindMessageTypeByName(name)
        kind = message_factory.GetMessageClass(found)
    except KeyError:
        if name != STATUS:  # A server need not import its file to pack it.
            return None
        kind = status_pb2.Status
    try:
        return kind.FromString(value.value)
    except DecodeError:
        return None
