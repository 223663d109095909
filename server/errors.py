"""Every error that a person may see, in one tree.

ChajaError
├── InvalidRequest      a request breaks a rule of the protocol
├── UnfitText           the model cannot encode a text
│   ├── TooManyTokens   it is longer than the model can see
│   └── NoTokens        nothing of it is left to encode
├── NotReady            the server is still loading, or already shutting down
├── EncodingFailed      the model failed on a batch; the log has the incident
└── StartError          the server cannot start; its message says what to mend
    ├── SettingsError   a flag or an environment variable
    ├── BundleError     the bundle's directory
    ├── CatalogueError  the catalogue's file, with its line
    └── AddressError    an address to listen on

`server.rpc.errors` maps the first four to gRPC codes; `server.__main__` prints the
others as one line.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass


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


@dataclass(frozen=True)
class Violation:
    """One field of a request and what is wrong with it."""

    field: str
    description: str


MAX_VIOLATIONS = 10
"""Violations told at once. They travel in headers, and gRPC drops a call whose headers exceed 8 KiB."""


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


class NotReady(ChajaError):
    """The server is still loading, or already shutting down."""


class EncodingFailed(ChajaError):
    """The model failed on a batch. The log has the incident with its traceback."""

    def __init__(self, incident: str) -> None:
        super().__init__(incident_message(incident))


class StartError(ChajaError):
    """The server cannot start."""


class SettingsError(StartError):
    """A flag or an environment variable has a value that cannot be used."""


class BundleError(StartError):
    """The bundle is missing, damaged, foreign or wrong on this CPU."""


class CatalogueError(StartError):
    """The catalogue's file is missing or has a line that cannot be used."""


class AddressError(StartError):
    """An address to listen on is taken or not this machine's."""
