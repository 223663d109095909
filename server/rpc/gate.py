"""Checks a call before its message is read, and the caller of a stream again with each message.

The token comes first: a caller without one learns nothing about limits and load.
"""

from collections.abc import Callable, Iterable
from functools import partial

from server.errors import HeadersTooLarge, Overloaded
from server.memory import Garbage
from server.metrics import Refusal
from server.rpc.connections import ConnectionShare
from server.rpc.grpc_server import MAX_METADATA_BYTES
from server.rpc.refusals import Refusals
from server.security.access import ROLE_OF, Access

Metadata = Iterable[tuple[str, str | bytes]]

SEARCH = "/chaja.v1.SearchService/Search"

HEADER_OVERHEAD_BYTES = 32
"""Size that HTTP/2 counts for a header beyond its name and value (RFC 9113, section 6.5.2)."""


class Gate:
    """The checks of all calls. Used on the event loop only."""

    def __init__(self, access: Access, refusals: Refusals, *, overload: Callable[[], Overloaded | None]) -> None:
        """Takes a function that returns the error that rejects every Search call now, or None."""
        self._access = access
        self._refusals = refusals
        self._overload = overload
        self._garbage = Garbage()

    def check(self, path: str, metadata: Metadata, share: ConnectionShare) -> None:
        """Raises an error if a call must be rejected before its message is read."""
        self.check_caller(path, metadata)
        size = sum(HEADER_OVERHEAD_BYTES + len(key) + len(value) for key, value in metadata)
        if size > MAX_METADATA_BYTES:
            self._garbage.collect_soon()
            limit = f"at most {MAX_METADATA_BYTES} are allowed"
            raise HeadersTooLarge(f"the call's headers have {size} bytes; {limit}: send fewer")
        share.check()
        if path == SEARCH and (error := self._overload()) is not None:
            raise error

    def free_memory_soon(self) -> None:
        """Frees the memory of large messages, which the C library would keep for the threads that used it."""
        self._garbage.return_soon()

    def check_caller(self, path: str, metadata: Metadata) -> None:
        """Raises NotAuthenticated or NotAllowed unless the caller may use the method now."""
        if path in ROLE_OF:
            self._access.check(path, metadata)

    def refused(self, reason: Refusal, path: str, metadata: Metadata, *, peer: str) -> None:
        """Counts and logs a refused call."""
        self._refusals.count(reason, path=path, caller=partial(self.name_of, metadata), peer=peer)

    def name_of(self, metadata: Metadata) -> str:
        """Returns the name of a caller's token, or an empty string if it is unknown."""
        return self._access.name_of(metadata)

    def access_changed(self) -> bool:
        """Returns whether callers may have lost their access since the last time."""
        return self._access.changed()
