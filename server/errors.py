"""All errors whose message a user may see, in one tree below `ChajaError`, and those that only our code handles.

`server.rpc.errors` maps them to gRPC codes, except UnfitText, UnfitRule, SnapshotError, BuildFailed, ShadowRefused
and StartError other than StoreUnavailable. `server.__main__` prints the last two, and LearningRefused, as one line.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self


def first_line(error: Exception) -> str:
    """Returns the first line of a library's error message, or the error's type if the message is empty."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


class ChajaError(Exception):
    """Base of all errors whose message a user may see."""

    facts: Mapping[str, str] = MappingProxyType({})
    """The variable parts of the message, for programs."""


@dataclass(frozen=True)
class Violation:
    """One field of a request and what is wrong with it."""

    field: str
    description: str

    def cut(self, max_bytes: int) -> Self:
        """Returns a violation whose field and description have at most `max_bytes` each."""
        return type(self)(_cut(self.field, max_bytes), _cut(self.description, max_bytes))


def _cut(text: str, max_bytes: int) -> str:
    encoded = text.encode()
    return text if len(encoded) <= max_bytes else encoded[: max_bytes - 3].decode(errors="ignore") + "…"


MAX_VIOLATIONS = 10
MAX_VIOLATIONS_BYTES = 1300
"""Bounds of the violations in one error. They are sent in the trailers three times, twice in base64 and once
percent-encoded; gRPC clients may reject trailers above 8 KiB."""

MIN_RETRY_MILLISECONDS = 10


class InvalidRequest(ChajaError):
    """A request breaks a rule of the protocol."""

    def __init__(self, violations: list[Violation]) -> None:
        """Keeps the first violations, as many as the bounds allow and at least one."""
        self.violations: list[Violation] = []
        left_bytes = MAX_VIOLATIONS_BYTES
        for violation in violations[:MAX_VIOLATIONS]:
            left_bytes -= len(violation.field.encode()) + len(violation.description.encode())
            if left_bytes < 0 and self.violations:
                break
            self.violations.append(violation if left_bytes >= 0 else violation.cut(MAX_VIOLATIONS_BYTES // 2))
        lines = [f"{violation.field}: {violation.description}" for violation in self.violations]
        if len(violations) > len(lines):
            lines.append(f"and {len(violations) - len(lines)} more")
        super().__init__("; ".join(lines))


class UnfitText(ChajaError):
    """The model cannot encode a text. It becomes an InvalidRequest once the text's field is known."""


class UnfitPart(UnfitText):
    """The model cannot encode a part of a document: `position` is its place among the parts of its kind, from 0."""

    def __init__(self, kind: str, position: int, reason: str) -> None:
        super().__init__(f"{kind}: {reason}")
        self.kind, self.position, self.reason = kind, position, reason


class UnfitRule(ChajaError):
    """A rule of synonyms is not valid. It becomes another error once its field, or its line in a file, is known."""


class UnknownMethod(ChajaError):
    """A call names a method that the server does not have."""


class NotAuthenticated(ChajaError):
    """A call carries no token, or an unknown one."""

    def __init__(self, *, token_sent: bool) -> None:
        super().__init__("send a valid token, as in `authorization: Bearer …`")
        self.token_sent = token_sent


class NotAllowed(ChajaError):
    """The role of a call's token does not cover the method."""

    def __init__(self, role: str, needed: str) -> None:
        super().__init__(f"the token's role is {role}; this method needs {needed}")
        self.facts = {"role": role, "needed_role": needed}


class NotReady(ChajaError):
    """The server is still loading, or already shutting down."""


class Overloaded(ChajaError):
    """A call would wait longer than the server or the call's deadline allows."""

    def __init__(self, wait_seconds: float, *, remaining_seconds: float | None = None) -> None:
        """Takes the predicted wait, and the time until the deadline if that is too short."""
        self.retry_milliseconds = max(MIN_RETRY_MILLISECONDS, 10 * round(wait_seconds * 100))
        wait = f"{self.retry_milliseconds} ms"
        if remaining_seconds is None:
            super().__init__(f"the server is overloaded: a call would wait {wait}; try again after that")
        else:
            super().__init__(f"the deadline is too near: after a wait of {wait} the answer would be too late")
        self.facts = {"retry_milliseconds": str(self.retry_milliseconds)}


class ConnectionOverloaded(ChajaError):
    """A connection has too many calls in flight, or its client leaves too many answers unread."""


class ResponseTooLarge(ChajaError):
    """An answer would be larger than `--max-response-bytes`."""

    def __init__(self, max_bytes: int, remedy: str) -> None:
        """Takes the bound, and what to ask for instead."""
        super().__init__(f"the answer would have more than {max_bytes} bytes: {remedy}")
        self.facts = {"max_response_bytes": str(max_bytes)}


class HeadersTooLarge(ChajaError):
    """The headers of a call are larger than 16 KiB."""


class DeadlinePassed(ChajaError):
    """The deadline of a call passed before it was answered."""

    def __init__(self) -> None:
        super().__init__("the deadline passed before the call was answered")


class EncodingFailed(ChajaError):
    """The model failed on a text. The log holds the traceback under the incident's id."""

    def __init__(self) -> None:
        self.incident = uuid.uuid4().hex[:12]
        super().__init__(f"internal error; the server's log has incident {self.incident}")
        self.facts = {"incident": self.incident}


class SnapshotError(ChajaError):
    """A snapshot of an index is damaged, truncated or of another version. The index is rebuilt."""


class BuildFailed(ChajaError):
    """The graph of an index could not be built. The index stays as it is."""


class ReloadFailed(ChajaError):
    """A new bundle or catalogue cannot be served. The old one keeps serving."""


class NotFound(ChajaError):
    """A document does not exist."""

    def __init__(self, id: str) -> None:
        super().__init__(f"there is no document {id!r}")
        self.facts = {"document_id": id}


class Conflict(ChajaError):
    """The version of a document or a rule differs from the expected one; version 0 means that it does not exist."""

    def __init__(self, id: str, *, expected_version: int, version: int, noun: str = "document") -> None:
        actual = f"has version {version}" if version else "does not exist"
        expected = f"version {expected_version} was expected" if expected_version else "it was expected not to exist"
        super().__init__(f"{noun} {id!r} {actual}; {expected}: read it again")
        self.facts = {f"{noun}_id": id, "expected_version": str(expected_version), "version": str(version)}


class OutOfRange(ChajaError):
    """The store has not had a change that a client has seen, or a restore or a failover has undone it."""


class SequenceNotSeen(ChajaError):
    """Searches of this server lack a change that the call has to see. Another server may have it."""

    def __init__(self, min_sequence: int, sequence: int) -> None:
        super().__init__(
            f"this server has not seen change {min_sequence} yet, but those up to {sequence}: try again, or another one"
        )
        self.facts = {"min_sequence": str(min_sequence), "sequence": str(sequence)}


class ImportTakenOver(ChajaError):
    """Another call has taken over an import."""

    def __init__(self) -> None:
        super().__init__("another call has taken over this import")


class ShardUnavailable(ChajaError):
    """A shard of the catalogue does not answer."""


class ReadOnly(ChajaError):
    """The server accepts no writes."""


class StoreFull(ChajaError):
    """The disk is full or fails during a write. No part of the write is kept."""


class StartError(ChajaError):
    """The server cannot start."""


class SettingsError(StartError):
    """A flag or an environment variable has an invalid value."""


class BundleError(StartError):
    """The bundle is missing, damaged or incompatible, or gives wrong vectors on this CPU."""


class CatalogueError(StartError):
    """The catalogue file is missing or has an invalid line."""


class StoreError(StartError):
    """The store's directory cannot be used."""


class StoreUnavailable(StoreError):
    """The store's database does not answer, refuses, or has another schema. The same call may succeed later."""


class ChangesLost(StoreUnavailable):
    """The store's database lacks changes that a server has seen. No server uses it before an operator decides."""


class DatabaseDamaged(StoreError):
    """The store's database is damaged."""


class ReportError(StartError):
    """The file of a report cannot be written."""


class LearningRefused(ChajaError):
    """Example queries that users have confirmed would make the hits of others worse. Nothing was learnt."""

    def __init__(self, modes: list[str]) -> None:
        """Takes the names of the modes in which R@1 falls."""
        super().__init__(
            f"R@1 of held-out queries falls in {' and '.join(modes)}: nothing was changed; ask for more --min-users or "
            "--min-agreement, or wait for more feedback"
        )


class LearningFailed(ChajaError):
    """Learning from feedback failed in the running server. Nothing was learnt, or a part of it."""


class ShadowRefused(ChajaError):
    """A new bundle, or other documents, miss a bound that the operator has set. The report says by how much."""


class SecurityError(StartError):
    """A certificate, a key or the token file cannot be used."""


class AddressError(StartError):
    """The server cannot listen on an address."""


class LoadingCancelled(Exception):
    """Loading was cancelled, because the server shuts down. Only our code handles it."""
