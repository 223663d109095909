"""Reads answers: the server's stage times, the documents found, and whether two answers are the same.

The reader looks for three things in the response's descriptor: a field `timings` with one duration for each stage, a
`search_id`, which differs between equal answers, and a list of hits that have a `document_id`. They may be in the
response itself or in the responses of a list in it.
"""

import hashlib
from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from loadtest.requests.descriptors import descriptor_of
from loadtest.stages import NO_STAGES, STAGES

TIMINGS, SEARCH_ID, HITS, DOCUMENT = "timings", "search_id", "hits", "document_id"


class AnswerReader:
    """Reads the answers of one method.

    Attributes:
        has_stages: Whether the answers have the server's stage times.
        has_hits: Whether the answers name documents.
    """

    def __init__(self, response_class: type[Message]) -> None:
        self._class = response_class
        descriptor = descriptor_of(response_class)
        self._path = _path_to(descriptor, TIMINGS) or _path_to(descriptor, HITS) or ()
        end = descriptor
        for name in self._path:
            end = _message_of(end, name)
        self.has_stages = _has_stages(end)
        self.has_hits = _lists_documents(end)
        self._varying = [name for name, has in ((TIMINGS, self.has_stages), (SEARCH_ID, _has(end, SEARCH_ID))) if has]

    def parse(self, data: bytes) -> Message:
        """Returns the message; raises google.protobuf.message.DecodeError for malformed data."""
        return self._class.FromString(data)

    def stages(self, answer: Message) -> tuple[tuple[float, ...], int]:
        """Returns the seconds of each stage, of the slowest part if there are several, and the size of its batch."""
        slowest, texts, longest = NO_STAGES, 0, -1.0
        for part in self._parts(answer):
            if not part.HasField(TIMINGS):
                continue
            timings = getattr(part, TIMINGS)
            seconds = tuple(
                [duration.seconds + duration.nanos * 1e-9 for duration in [getattr(timings, stage) for stage in STAGES]]
            )
            total = sum(seconds)
            if total > longest:
                slowest, texts, longest = seconds, timings.batch_texts, total
        return slowest, texts

    def documents(self, answer: Message) -> list[list[str]]:
        """Returns the document ids of each part of the answer, best first."""
        return [[hit.document_id for hit in getattr(part, HITS)] for part in self._parts(answer)]

    def digest(self, answers: list[Message]) -> bytes:
        """Returns 8 bytes that are equal if the answers are equal, apart from timings and the id of the search."""
        digest = hashlib.blake2b(digest_size=8)
        for answer in answers:
            for part in self._parts(answer) if self._varying else ():
                for name in self._varying:
                    part.ClearField(name)
            digest.update(answer.SerializeToString(deterministic=True))
        return digest.digest()

    def _parts(self, answer: Message) -> Iterator[Message]:
        """Yields the answer itself, or the answers in its list."""
        if not self._path:
            yield answer
        else:
            yield from getattr(answer, self._path[0])


def _path_to(descriptor: Descriptor, name: str) -> tuple[str, ...] | None:
    """Returns the repeated field that leads to messages with a field of that name; empty for the message itself."""
    if _has(descriptor, name):
        return ()
    for field in descriptor.fields:
        if field.message_type is not None and field.is_repeated and _has(field.message_type, name):
            return (field.name,)
    return None


def _message_of(descriptor: Descriptor, name: str) -> Descriptor:
    """Returns the message that a field holds."""
    message = descriptor.fields_by_name[name].message_type
    assert message is not None, f"{name} holds messages"
    return message


def _has(descriptor: Descriptor | None, name: str) -> bool:
    return descriptor is not None and name in descriptor.fields_by_name


def _lists_documents(descriptor: Descriptor) -> bool:
    if not _has(descriptor, HITS):
        return False
    hits = descriptor.fields_by_name[HITS]
    return hits.is_repeated and _has(hits.message_type, DOCUMENT)


def _has_stages(descriptor: Descriptor) -> bool:
    if not _has(descriptor, TIMINGS):
        return False
    field = descriptor.fields_by_name[TIMINGS]
    timings = field.message_type
    if timings is None or field.is_repeated or not all(_has(timings, name) for name in (*STAGES, "batch_texts")):
        return False
    stages = [timings.fields_by_name[stage] for stage in STAGES]
    return all(_is_duration(stage.message_type) and not stage.is_repeated for stage in stages)


def _is_duration(descriptor: Descriptor | None) -> bool:
    return descriptor is not None and descriptor.full_name == "google.protobuf.Duration"
