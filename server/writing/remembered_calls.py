"""Remembers calls by their request_id: a repeated call retries only the changes that were rejected."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from server.catalogue.changes import Outcome
from server.catalogue.store import Store
from server.errors import InvalidRequest, Violation


class Done(NamedTuple):
    """The result of one successful change."""

    id: str
    version: int
    changed: bool


class RememberedCall(NamedTuple):
    """A call with a request_id.

    Attributes:
        id: The request_id.
        digest: Digest of the call's content.
        known: Digest and outcomes of the remembered call with this id; None if there is none.
        done: For each change, its remembered result; None if it is still to be made.
        submitted: Positions of the changes that this attempt makes; None if it makes all.
    """

    id: str
    digest: bytes
    known: tuple[bytes, bytes] | None
    done: list[Done | None]
    submitted: Sequence[int] | None = None

    @property
    def open(self) -> list[int]:
        """Positions of the changes that are still to be made."""
        return [position for position, each in enumerate(self.done) if each is None]

    def outcomes(self, new: Sequence[Outcome]) -> list[Outcome]:
        """Returns the outcome of every change, given the new outcomes of the open ones."""
        fresh = iter(new)
        return [next(fresh) if each is None else Outcome(each.id, each.version, each.changed) for each in self.done]


def digest_of(*content: object) -> bytes:
    """Returns a digest that identifies the content of a call."""
    return hashlib.blake2b(msgspec.json.encode(content), digest_size=16).digest()


def look_up(store: Store, request_id: str, digest: bytes, *, count: int) -> RememberedCall:
    """Returns a call of `count` changes and its results; raises InvalidRequest if the id is another call's. Blocks."""
    row = store.request(request_id)
    if row is None:
        return RememberedCall(request_id, digest, None, [None] * count)
    if row[0] != digest:
        raise InvalidRequest([Violation("request_id", "was used for another call: use a new one for each call")])
    return RememberedCall(request_id, digest, row, msgspec.json.decode(row[1], type=list[Done | None]))


def remembered(request: RememberedCall, new: Sequence[Outcome]) -> bytes:
    """Returns the results of a call, encoded for the store; `new` has the outcomes of this attempt."""
    made = [None if each.error else Done(each.id, each.version, each.changed) for each in new]
    if request.submitted is None:
        return msgspec.json.encode(made)
    done = list(request.done)
    for position, each in zip(request.submitted, made, strict=True):
        done[position] = each
    return msgspec.json.encode(done)
