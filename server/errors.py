"""Every error that a person may see, in one tree below `ChajaError`.

`server.rpc.errors` maps all but UnfitText, SnapshotError, BuildFailed and StartError to gRPC codes; `server.__main__`
prints the last as one line.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


def new_incident() -> str:
    """Returns an id that stands in the log and in what the caller sees, to find the one by the other."""
    return uuid.uuid4().hex[:12]


def incident_message(incident: str) -> str:
    """Returns what the caller is told of a fault of the server."""
    return f"a fault of the server; its log has incident {incident}"


def first_line(error: Exception) -> str:
    """Returns the first line of what a library's error says, for a message of ours; its type if it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


class ChajaError(Exception):
    """Base of all errors whose message is meant for a person."""

    facts: Mapping[str, str] = MappingProxyType({})
    """The parts of the message that change from case to case, for programs to read."""


@dataclass(frozen=True)
class Violation:
    """One field of a request and what is wrong with it."""

    field: str
    description: str


MAX_VIOLATIONS = 10
"""Violations reported at once. They travel in headers, and gRPC drops a call whose headers exceed 8 KiB."""

MIN_RETRY_MILLISECONDS = 10


class InvalidRequest(ChajaError):
    """A request breaks a rule of the protocol. `violations` holds the first of them."""

    def __init__(self, violations: list[Violation]) -> None:
        self.violations = violations[:MAX_VIOLATIONS]
        told = [f"{violation.field}: {violation.description}" for violation in self.violations]
        if len(violations) > len(told):
            told.append(f"and {len(violations) - len(told)} more")
        super().__init__("; ".join(told))


class UnfitText(ChajaError):
    """The model cannot encode a text. It becomes InvalidRequest as soon as the text's field is known."""


class NoTokens(UnfitText):
    """A text has no tokens at all."""

    def __init__(self) -> None:
        super().__init__("has nothing that the model can read: send letters")


class TooManyTokens(UnfitText):
    """A text is longer than the model can see."""

    def __init__(self, token_count: int, max_tokens: int) -> None:
        super().__init__(f"has {token_count} tokens; the model sees at most {max_tokens}: shorten it")


class NoRoom(UnfitText):
    """A text must be cut into passages, and the title that stands before each leaves no room for one."""

    def __init__(self, max_tokens: int) -> None:
        super().__init__(f"has no room behind its title: the model sees {max_tokens} tokens of both; shorten the title")


class UnknownMethod(ChajaError):
    """A call asks for a method that does not exist."""

    def __init__(self) -> None:
        super().__init__("there is no such method; reflection lists those that are there")


class NotAuthenticated(ChajaError):
    """A call carries no token, or one that is not known."""

    def __init__(self) -> None:
        super().__init__("send a valid token, as in `authorization: Bearer …`")


class NotAllowed(ChajaError):
    """The token of a call has a role that does not cover the method."""

    def __init__(self, role: str, needed: str) -> None:
        super().__init__(f"the token's role is {role}; this method needs {needed}")
        self.facts = {"role": role, "needed_role": needed}


class NotReady(ChajaError):
    """The server is still loading, or already shutting down."""


class Overloaded(ChajaError):
    """A call would wait too long: longer than the server allows, or than its own deadline does."""

    def __init__(self, wait_seconds: float, *, remaining_seconds: float | None = None) -> None:
        """Takes the predicted wait, and the time left until the deadline where that is too short."""
        self.retry_milliseconds = max(MIN_RETRY_MILLISECONDS, 10 * round(wait_seconds * 100))
        wait = f"{self.retry_milliseconds} ms"
        if remaining_seconds is None:
            super().__init__(f"the server is overloaded: a call would wait {wait}; try again after that")
        else:
            super().__init__(f"the deadline is too near: with a wait of {wait} the answer would come too late")
        self.facts = {"retry_milliseconds": str(self.retry_milliseconds)}


class ConnectionOverloaded(ChajaError):
    """One connection holds too much: calls in flight, or answers that its client does not read."""


class DeadlinePassed(ChajaError):
    """The deadline of a call passed before it was answered."""

    def __init__(self) -> None:
        super().__init__("the deadline passed before there was an answer")


class EncodingFailed(ChajaError):
    """The model failed on a text. The log has the incident with its traceback."""

    def __init__(self, incident: str) -> None:
        super().__init__(incident_message(incident))
        self.facts = {"incident": incident}


class SnapshotError(ChajaError):
    """A snapshot of an index cannot be used: damaged, cut short or of another version. It is built again."""


class BuildFailed(ChajaError):
    """The graph of an index could not be built. The index goes on with what it has."""


class ReloadFailed(ChajaError):
    """A new bundle or catalogue cannot be served. The old one goes on being served."""


class NotFound(ChajaError):
    """There is no such document."""

    def __init__(self, id: str) -> None:
        super().__init__(f"there is no document {id!r}")
        self.facts = {"document_id": id}


class Conflict(ChajaError):
    """A document has another version than expected; 0 stands for no document."""

    def __init__(self, id: str, *, expected_version: int, version: int) -> None:
        is_so = f"has version {version}" if version else "does not exist"
        wanted = f"version {expected_version} was expected" if expected_version else "it was expected not to exist"
        super().__init__(f"document {id!r} {is_so}; {wanted}: read it again")
        self.facts = {"document_id": id, "expected_version": str(expected_version), "version": str(version)}


class OutOfRange(ChajaError):
    """Changes cannot be told from where a client wants to go on: the log does not reach there."""


class ImportTakenOver(ChajaError):
    """Another connection goes on with an import."""

    def __init__(self) -> None:
        super().__init__("another connection goes on with this import")


class ReadOnly(ChajaError):
    """The server takes no writes."""


class StoreFull(ChajaError):
    """The disk has no room for a write; nothing of it is kept."""


class StartError(ChajaError):
    """The server cannot start."""


class SettingsError(StartError):
    """A flag or an environment variable has a value that cannot be used."""


class BundleError(StartError):
    """The bundle is missing, damaged, foreign or wrong on this CPU."""


class CatalogueError(StartError):
    """The catalogue's file is missing or has a line that cannot be used."""


class StoreError(StartError):
    """The directory of the store cannot be used."""


class DatabaseDamaged(StoreError):
    """The database of the store is damaged."""


class SecurityError(StartError):
    """A certificate, a key or the file of tokens cannot be used."""


class AddressError(StartError):
    """An address to listen on is taken or not this machine's."""
