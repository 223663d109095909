"""Every error that a person may see, in one tree.

ChajaError
├── InvalidRequest      a request breaks a rule of the protocol
├── TooManyTokens       a text is longer than the model can see
├── NotReady            the server is still loading, or already stopping
├── EncodingFailed      the model failed on a batch
└── StartError          the server cannot start; its message says what to mend
    ├── SettingsError   a flag or an environment variable
    ├── BundleError     the bundle's directory
    ├── CatalogueError  the catalogue's file, with its line
    └── AddressError    an address to listen on

`server.rpc.errors` maps the first four to gRPC codes; `server.__main__` prints the
others as one line.
"""

from __future__ import annotations

from dataclasses import dataclass


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


class InvalidRequest(ChajaError):
    """A request breaks a rule of the protocol."""

    def __init__(self, violations: list[Violation]) -> None:
        super().__init__("; ".join(f"{violation.field}: {violation.description}" for violation in violations))
        self.violations = violations


class TooManyTokens(ChajaError):
    """A text is longer than the model can see."""

    def __init__(self, token_count: int, max_tokens: int) -> None:
        super().__init__(f"has {token_count} tokens; the model sees at most {max_tokens}: shorten it")


class NotReady(ChajaError):
    """The server is still loading, or already stopping."""


class EncodingFailed(ChajaError):
    """The model failed on a batch."""


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
