"""Reads answers: the server's stage times, the documents found, and whether two answers are the same.

The reader finds, at any depth of a response, fields `timings` with one duration for each stage, and lists of `hits` or
`suggestions` that have a `document_id`. Each message with such a field answers one query.

Equal answers of `chaja.v1` differ in timings and in a few other fields (`VARYING`).
"""

import hashlib
from collections.abc import Sequence

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message

from loadtest.requests.descriptors import CHAJA, descriptor_of
from loadtest.requests.fields import Fields
from loadtest.stages import NO_STAGES, STAGES

TIMINGS, DOCUMENT = "timings", "document_id"
LISTS = ("hits", "suggestions")
VARYING = ("search_id", "next_page_token", "sequence")
"""Fields of answers with hits or suggestions: a random id, a token that holds the time, and the newest change of the
catalogue, which need not change the answer."""


class AnswerReader:
    """Reads the answers of one method.

    Args:
        response_class: The class of its response messages.
        ordered: Whether the order of a stream's messages matters.

    Attributes:
        has_stages: Whether the answers have the server's stage times.
        has_documents: Whether the answers name documents.
    """

    def __init__(self, response_class: type[Message], *, ordered: bool = True) -> None:
        self._class = response_class
        self._ordered = ordered
        descriptor = descriptor_of(response_class)
        self._timings = Fields(descriptor, _is_timings)
        self._lists = Fields(descriptor, _lists_documents)
        self._varying = Fields(descriptor, lambda field: _is_timings(field) or _varies(field))
        self._has_required = bool(Fields(descriptor, lambda field: field.is_required))
        self.has_stages = bool(self._timings)
        self.has_documents = bool(self._lists)

    def parse(self, data: bytes) -> Message:
        """Returns the message; raises DecodeError for malformed data, or if it lacks a required field."""
        message = self._class.FromString(data)
        if self._has_required and not message.IsInitialized():  # Python's protobuf does not check it.
            raise DecodeError("a required field is missing")
        return message

    def stages(self, answers: Sequence[Message]) -> tuple[tuple[float, ...], int]:
        """Returns the seconds of each stage, of the slowest part if there are several, and the size of its batch."""
        slowest, texts, longest = NO_STAGES, 0, -1.0
        for part, field in [place for answer in answers for place in self._timings.found(answer)]:
            if not part.HasField(field.name):
                continue
            timings = getattr(part, field.name)
            durations = [getattr(timings, stage) for stage in STAGES]
            seconds = tuple([duration.seconds + duration.nanos * 1e-9 for duration in durations])
            total = sum(seconds)
            if total > longest:
                slowest, texts, longest = seconds, timings.batch_texts, total
        return slowest, texts

    def documents(self, answers: Sequence[Message]) -> list[list[str]]:
        """Returns the document ids of each part of an answer, best first; a document is there only once."""
        return [
            list(dict.fromkeys(each.document_id for each in getattr(part, field.name) if each.document_id))
            for answer in answers
            for part, field in self._lists.found(answer)
        ]

    def digest(self, answers: Sequence[Message]) -> bytes:
        """Returns 8 bytes that are equal if the answers are equal, apart from fields that vary; it clears those."""
        written = []
        for answer in answers:
            for part, field in self._varying.found(answer):
                part.ClearField(field.name)
            written.append(answer.SerializeToString(deterministic=True))
        digest = hashlib.blake2b(digest_size=8)
        for each in written if self._ordered else sorted(written):
            digest.update(len(each).to_bytes(8, "little") + each)
        return digest.digest()


def _has(descriptor: Descriptor | None, name: str) -> bool:
    return descriptor is not None and name in descriptor.fields_by_name


def _lists_documents(field: FieldDescriptor) -> bool:
    return field.name in LISTS and field.is_repeated and _has(field.message_type, DOCUMENT)


def _varies(field: FieldDescriptor) -> bool:
    owner = field.containing_type
    return (
        owner is not None
        and owner.file.package == CHAJA
        and field.name in VARYING
        and any(name in owner.fields_by_name for name in LISTS)
    )


def _is_timings(field: FieldDescriptor) -> bool:
    timings = field.message_type
    if field.name != TIMINGS or timings is None or field.is_repeated:
        return False
    if not all(_has(timings, name) for name in (*STAGES, "batch_texts")):
        return False
    stages = [timings.fields_by_name[stage] for stage in STAGES]
    return all(_is_duration(stage.message_type) and not stage.is_repeated for stage in stages)


def _is_duration(descriptor: Descriptor | None) -> bool:
    return descriptor is not None and descriptor.full_name == "google.protobuf.Duration"
