"""Reads errors inside answers: a call that gRPC ended with OK has failed if a part of its answer says so.

A part is a message with a field for an error, such as one result of `UpsertDocuments`, or an element of a list of
errors, or the whole answer. Errors are, at any depth, messages of the type `google.rpc.Status`, or of its shape
(`code`, `message` and `details`), and those of `chaja.v1`. For other servers, paths name fields; then no others count.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.rpc import status_pb2

from loadtest.codes import CODES, OK, REFUSED, UNKNOWN
from loadtest.errors import UsageError
from loadtest.requests.descriptors import descriptor_of
from loadtest.requests.fields import Fields, along, map_value, message_in, messages_in, path_of

NONE = "none"
"""The path that names no field: no answer carries an error."""

CODE, MESSAGE, REASON, DETAILS = "code", "message", "reason", "details"
STATUS, ANY, VALUE = "google.rpc.Status", "google.protobuf.Any", "google.protobuf.Value"
WRAPPERS = {
    f"google.protobuf.{name}Value"
    for name in ("Bool", "Bytes", "Double", "Float", "Int32", "Int64", "String", "UInt32", "UInt64")
}
GOOD, NEGATED = {"OK", "SUCCESS"}, {"NO", "NON", "NOT"}
"""Last words of an enum's names for no error, unless a word before negates them."""

CODE_TYPES = {
    FieldDescriptor.CPPTYPE_INT32,
    FieldDescriptor.CPPTYPE_INT64,
    FieldDescriptor.CPPTYPE_UINT32,
    FieldDescriptor.CPPTYPE_UINT64,
    FieldDescriptor.CPPTYPE_ENUM,
}
CHAJA = "chaja.v1"
CHAJA_REFUSAL = "chaja.v1.FeedbackRefusal"
REFUSALS = {
    "FEEDBACK_REFUSAL_REASON_UNKNOWN_DOCUMENT": CODES.index("NOT_FOUND"),
    "FEEDBACK_REFUSAL_REASON_TOO_MANY": REFUSED,
}
"""Codes of the reasons of `FeedbackRefusal`, which has no code."""


class AnswerErrors(NamedTuple):
    """The errors inside an answer.

    Attributes:
        parts: Parts of the answer that can carry an error.
        failed: Parts that do.
        code: gRPC code of the first error; OK without one.
        message: Message of the first error.
    """

    parts: int = 0
    failed: int = 0
    code: int = OK
    message: str = ""


class ErrorReader:
    """Finds the errors in the answers of one method. It is true if the answers can carry errors.

    Args:
        response_class: The class of its response messages.
        paths: Paths of the fields for errors, such as `results.error`; those that the response lacks are ignored.
            `None` for the fields that are known.
    """

    def __init__(self, response_class: type[Message], paths: Sequence[str] | None = None) -> None:
        descriptor = descriptor_of(response_class)
        self._is_error = paths is None and _is_status(descriptor)
        self._is_any = paths is None and descriptor.full_name == ANY
        self._known = Fields(descriptor, _is_known) if paths is None and not self._is_error else None
        self._paths = [path for text in paths or () if (path := path_of(descriptor, text))]
        self._packed: dict[type[Message], ErrorReader] = {}

    def __bool__(self) -> bool:
        return bool(self._is_error or self._is_any or self._known or self._paths)

    def read(self, answers: Sequence[Message]) -> AnswerErrors:
        """Returns the errors in the messages of an answer."""
        parts, failures = 0, []
        for answer in answers:
            for code, message in self._outcomes(answer):
                parts += 1
                if code != OK:
                    failures.append((code, message))
        return AnswerErrors(parts, len(failures), *failures[0]) if failures else AnswerErrors(parts)

    def _outcomes(self, answer: Message) -> Iterator[tuple[int, str]]:
        """Yields code and message of each part of an answer."""
        if self._is_error:
            yield _outcome_of_message(answer)
        if self._is_any:
            yield from self._in_any(answer)
        if self._known:
            for owner, field in self._known.found(answer):
                if _holds_any(field):
                    for each in messages_in(owner, field):
                        yield from self._in_any(each)
                else:
                    yield from _outcomes_of_field(owner, field)
        for path in self._paths:
            for owner, field in along(answer, path):
                yield from _outcomes_of_field(owner, field)

    def _in_any(self, value: Message) -> Iterator[tuple[int, str]]:
        """Yields those of the message in a `google.protobuf.Any`; none if its type is not known."""
        content = _unpacked(value)
        if content is not None:
            kind = type(content)
            if kind not in self._packed:
                self._packed[kind] = ErrorReader(kind)
            yield from self._packed[kind]._outcomes(content)


def check_paths(paths: Sequence[str], response_classes: Sequence[type[Message]]) -> None:
    """Raises UsageError if a path names no field of any response."""
    for path in paths:
        descriptors = [descriptor_of(each) for each in response_classes]
        if not any(path_of(descriptor, path) for descriptor in descriptors):
            known = "; ".join(
                f"{each.full_name} has {', '.join(field.name for field in each.fields) or 'no fields'}"
                for each in descriptors
            )
            raise UsageError(f"--error-field {path}: no answer has this field: {known}")


def _outcomes_of_field(owner: Message, field: FieldDescriptor) -> Iterator[tuple[int, str]]:
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
        return _outcome_of_message(value)
    if field.enum_type is not None:
        return _outcome_of_enum(field.enum_type, value)
    if isinstance(value, bool):
        return (UNKNOWN, f"{field.name} is true") if value else (OK, "")
    if isinstance(value, int | float):
        return (int(value) if value in range(len(CODES)) else UNKNOWN), ""
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return (CODES.index(text) if text in CODES else UNKNOWN, text) if text else (OK, "")


def _outcome_of_message(value: Message) -> tuple[int, str]:
    """Returns code and message of a message: it has a code, holds one value, or is an error because it is set."""
    descriptor = descriptor_of(type(value))
    fields = descriptor.fields_by_name
    if descriptor.full_name in WRAPPERS:
        return _outcome(fields["value"], getattr(value, "value"))  # noqa: B009  Message has no such attribute.
    if descriptor.full_name == VALUE:
        kind = value.WhichOneof("kind")
        return _outcome(fields[kind], getattr(value, kind)) if kind else (OK, "")
    if descriptor.full_name == ANY and (content := _unpacked(value)) is not None:
        return _outcome_of_message(content)
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


def _is_known(field: FieldDescriptor) -> bool:
    """Returns whether a field holds errors of a known type, or may hold a message of any type."""
    kind = message_in(field)
    return kind is not None and (_is_status(kind) or _holds_any(field))


def _holds_any(field: FieldDescriptor) -> bool:
    kind = message_in(field)
    return kind is not None and kind.full_name == ANY


def _is_status(kind: Descriptor) -> bool:
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


def _unpacked(value: Any) -> Message | None:
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
