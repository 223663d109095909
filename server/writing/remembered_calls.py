"""Calls that are remembered by a key of their caller: when one is repeated, only what was refused is tried again."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from server.catalogue.changes import Outcome
from server.catalogue.store import Store
from server.errors import InvalidRequest, Violation


class Done(NamedTuple):
    """What came of one change."""

    id: str
    version: int
    changed: bool


class RememberedCall(NamedTuple):
    """A call with a key.

    Attributes:
        id: The key.
        known_digest: That of the call which had the key before; None if there was none.
        done: For each change what came of it then; None where it is still to be made.
        handed_on: Positions of the changes that are made now, where they are known one by one.
    """

    id: str
    digest: bytes
    known_digest: bytes | None
    done: list[Done | None]
    handed_on: Sequence[int] | None = None

    @property
    def open(self) -> list[int]:
        """Positions of the changes that are still to be made."""
        return [position for position, each in enumerate(self.done) if each is None]

    def outcomes(self, new: Sequence[Outcome]) -> list[Outcome]:
        """Returns the outcome of every change, with those of the changes that were open."""
        fresh = iter(new)
        return [next(fresh) if each is None else Outcome(each.id, each.version, each.changed) for each in self.done]


def digest_of(*content: object) -> bytes:
    """Returns what tells a call from others."""
    return hashlib.blake2b(msgspec.json.encode(content), digest_size=16).digest()


def look_up(store: Store, request_id: str, digest: bytes, *, count: int) -> RememberedCall:
    """Returns what is known of a call with so many changes. Blocks.

    Raises:
        InvalidRequest: The key was used for another call.
    """
    row = store.request(request_id)
    if row is None:
        return RememberedCall(request_id, digest, None, [None] * count)
    if row[0] != digest:
        raise InvalidRequest([Violation("request_id", "was used for another call: use a new one for each call")])
    return RememberedCall(request_id, digest, digest, msgspec.json.decode(row[1], type=list[Done | None]))


def remembered(request: RememberedCall, new: Sequence[Outcome]) -> bytes:
    """Returns what is to be remembered of a call whose changes came out so."""
    made = [None if each.error else Done(each.id, each.version, each.changed) for each in new]
    if request.handed_on is None:
        return msgspec.json.encode(made)
    done = list(request.done)
    for position, each in zip(request.handed_on, made, strict=True):
        done[position] = each
    return msgspec.json.encode(done)
