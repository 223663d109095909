"""Reads errors inside answers: a call that gRPC ended with OK has failed if a part of its answer says so.

A part is a message with a field for an error, such as one result of `UpsertDocuments`, or an element of a list of
errors, or the whole answer. Errors are, at any depth, messages of the type `google.rpc.Status`, or of its shape
(`code`, `message` and `details`), and those of `chaja.v1`. For other servers, paths name fields; then no others count.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from loadtest.codes import OK
from loadtest.errors import UsageError
from loadtest.requests.descriptors import descriptor_of
from loadtest.requests.error_values import ANY, is_status, outcome_of_message, outcomes_of_field, unpacked
from loadtest.requests.fields import Fields, along, message_in, messages_in, path_of

NONE = "none"
"""The path that names no field: no answer carries an error."""


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
        self._is_error = paths is None and is_status(descriptor)
        self._is_any = paths is None and descriptor.full_name == ANY
        self._known = Fields(descriptor, _is_known) if paths is None and not self._is_error else None
        self._paths = [path for text in paths or () if (path := path_of(descriptor, text))]
        self._packed: dict[type[Message], ErrorReader] = {}

    def __bool__(self) -> bool:
        return bool(self._is_error or self._is_any or self._known or self._paths)

    def read(self, answers: Sequence[Message]) -> AnswerErrors:
        """Returns the errors in the messages of an answer; raises DecodeError for too many `Any` in one another."""
        parts, failures = 0, []
        try:
            for answer in answers:
                for code, message in self._outcomes(answer):
                    parts += 1
                    if code != OK:
                        failures.append((code, message))
        except RecursionError:
            raise DecodeError("the answer is nested too deeply") from None
        return AnswerErrors(parts, len(failures), *failures[0]) if failures else AnswerErrors(parts)

    def _outcomes(self, answer: Message) -> Iterator[tuple[int, str]]:
        """Yields code and message of each part of an answer."""
        if self._is_error:
            yield outcome_of_message(answer)
        if self._is_any:
            yield from self._in_any(answer)
        if self._known:
            for owner, field in self._known.found(answer):
                if _holds_any(field):
                    for each in messages_in(owner, field):
                        yield from self._in_any(each)
                else:
                    yield from outcomes_of_field(owner, field)
        for path in self._paths:
            for owner, field in along(answer, path):
                yield from outcomes_of_field(owner, field)

    def _in_any(self, value: Message) -> Iterator[tuple[int, str]]:
        """Yields those of the message in a `google.protobuf.Any`; none if its type is not known."""
        content = unpacked(value)
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


def _is_known(field: FieldDescriptor) -> bool:
    """Returns whether a field holds errors of a known type, or may hold a message of any type."""
    kind = message_in(field)
    return kind is not None and (is_status(kind) or _holds_any(field))


def _holds_any(field: FieldDescriptor) -> bool:
    kind = message_in(field)
    return kind is not None and kind.full_name == ANY
