"""Reads errors inside answers: a call that gRPC ended with OK has failed if a part of its answer says so.

A part is a message with a field for an error, such as one result of `UpsertDocuments`, or an element of a list of
errors. Fields for errors are, at any depth, those of the type `google.rpc.Status`, or of its shape (`code`, `message`
and `details`), and those of `chaja.v1`. For other servers, paths name them; then no others count.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from loadtest.codes import CODES, OK, REFUSED, UNKNOWN
from loadtest.errors import UsageError
from loadtest.requests.descriptors import descriptor_of
from loadtest.requests.fields import Fields, along, map_value, message_in, path_of

NONE = "none"
"""The path that names no field: no answer carries an error."""

CODE, MESSAGE, REASON, DETAILS = "code", "message", "reason", "details"
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
        self._known = Fields(descriptor, _is_known) if paths is None else None
        self._paths = [path for text in paths or () if (path := path_of(descriptor, text))]

    def __bool__(self) -> bool:
        return bool(self._known or self._paths)

    def read(self, answers: Sequence[Message]) -> AnswerErrors:
        """Returns the errors in the messages of an answer."""
        parts, failures = 0, []
        for owner, field in self._places(answers):
            for code, message in _outcomes(owner, field):
                parts += 1
                if code != OK:
                    failures.append((code, message))
        return AnswerErrors(parts, len(failures), *failures[0]) if failures else AnswerErrors(parts)

    def _places(self, answers: Sequence[Message]) -> Iterator[tuple[Message, FieldDescriptor]]:
        for answer in answers:
            if self._known:
                yield from self._known.found(answer)
            for path in self._paths:
                yield from along(answer, path)


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


def _outcomes(owner: Message, field: FieldDescriptor) -> Iterator[tuple[int, str]]:
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
        return (int(value) if 0 <= value < len(CODES) else UNKNOWN), ""
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return (CODES.index(text) if text in CODES else UNKNOWN, text) if text else (OK, "")


def _outcome_of_message(value: Message) -> tuple[int, str]:
    """Returns code and message of a message: it has a code, or is an error because it is set."""
    fields = descriptor_of(type(value)).fields_by_name
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
    codes = [number for number, code in enumerate(CODES) if f"_{name}".endswith(f"_{code}")]
    return max(codes, key=lambda code: len(CODES[code]), default=UNKNOWN), name


def _is_known(field: FieldDescriptor) -> bool:
    """Returns whether a field holds errors of a known type."""
    kind = message_in(field)
    if kind is None:
        return False
    if kind.full_name in ("google.rpc.Status", CHAJA_REFUSAL):
        return True
    fields = kind.fields_by_name
    code, message, details = (fields.get(name) for name in (CODE, MESSAGE, DETAILS))
    if code is None or message is None or code.type != code.TYPE_INT32 or message.type != message.TYPE_STRING:
        return False
    detail = details.message_type if details is not None else None
    return kind.file.package == CHAJA or (detail is not None and detail.full_name == "google.protobuf.Any")
