"""What a method gets beside its request: the asynchronous `grpc.aio.ServicerContext`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import grpc

from server.transport.metadata import MetadataLike, MetadataTuple, Metadatum, write_metadata
from server.transport.response import CODE_OF

if TYPE_CHECKING:
    from server.transport.call import Call

EOF = grpc.aio.EOF


class UndecodableRequest(Exception):
    """A request's bytes are no message of the method's type."""


def decoded(handler: Any, message: bytes) -> Any:
    """Returns a request's message as its method wants it.

    Raises:
        UndecodableRequest: It cannot be decoded.
    """
    decode = handler.request_deserializer
    if decode is None:
        return message
    try:
        return decode(message)
    except Exception as error:
        raise UndecodableRequest(str(error)) from error


class Context:
    """The context of one call. Methods mean what they mean in grpc.aio."""

    __slots__ = ("_call", "_code", "_details", "_trailing_metadata")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._code: grpc.StatusCode | None = None
        self._details = ""
        self._trailing_metadata: MetadataTuple = ()

    def invocation_metadata(self) -> tuple[Metadatum, ...]:
        """Returns what the client sent beside its messages."""
        return self._call.request.metadata

    def peer(self) -> str:
        """Returns the client's address, as in `ipv4:127.0.0.1:50051`."""
        return self._call.peer

    def time_remaining(self) -> float | None:
        """Returns the seconds until the deadline, zero or less behind it; `None` without one."""
        deadline = self._call.deadline
        return None if deadline is None else deadline - asyncio.get_running_loop().time()

    def cancelled(self) -> bool:
        """Returns whether the call ended before its method did."""
        return self._call.cancelled

    def done(self) -> bool:
        """Returns whether the call has ended."""
        return self._call.ended

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Has `callback` called with this context when the call has ended; at once if it has."""
        if self._call.ended:
            callback(self)
        else:
            self._call.on_end.append(lambda: callback(self))

    def set_code(self, code: grpc.StatusCode | int) -> None:
        """Sets the status that the call will end with."""
        self._code = code if isinstance(code, grpc.StatusCode) else CODE_OF[code]

    def code(self) -> grpc.StatusCode | None:
        """Returns the status that was set, or `None`."""
        return self._code

    def set_details(self, details: str) -> None:
        """Sets the words that go with the status."""
        self._details = details

    def details(self) -> str:
        """Returns the words that were set."""
        return self._details

    def set_trailing_metadata(self, trailing_metadata: MetadataLike) -> None:
        """Sets what is sent with the status."""
        self._trailing_metadata = _checked(trailing_metadata)

    def trailing_metadata(self) -> MetadataTuple:
        """Returns what was set to be sent with the status."""
        return self._trailing_metadata

    async def abort(
        self, code: grpc.StatusCode | int, details: str | None = "", trailing_metadata: MetadataLike = ()
    ) -> NoReturn:
        """Ends the call with a status other than OK; always raises `grpc.aio.AbortError`."""
        self.set_code(code)
        self._details = details or ""
        if self._code is grpc.StatusCode.OK:
            self._code, self._details = grpc.StatusCode.UNKNOWN, "abort() with OK"
        if trailing_metadata:
            self.set_trailing_metadata(trailing_metadata)
        assert self._code is not None
        self._call.end(self._code, self._details, self._trailing_metadata)
        raise grpc.aio.AbortError("the call was aborted")

    async def abort_with_status(self, status: Any) -> NoReturn:
        """Ends the call as `abort` does, with the parts of a `grpc.Status`."""
        await self.abort(status.code, status.details or "", status.trailing_metadata or ())

    async def send_initial_metadata(self, initial_metadata: MetadataLike) -> None:
        """Sends metadata before the first message."""
        self._call.initial_metadata = _checked(initial_metadata)
        self._call.send_head()

    async def read(self) -> Any:
        """Returns the next message of a streamed request; `grpc.aio.EOF` behind the last."""
        message = await self._call.next_message()
        if message is None:
            self._raise_if_cancelled()
            return EOF
        return decoded(self._call.handler, message)

    async def requests(self) -> AsyncIterator[Any]:
        """Yields the messages of a streamed request."""
        while (message := await self.read()) is not EOF:
            yield message

    async def write(self, message: Any) -> None:
        """Sends a message of a streamed response; waits while the client takes no more."""
        self._raise_if_cancelled()
        if self._call.decided:
            raise asyncio.InvalidStateError("the call has its status: nothing can be written any more")
        encode = self._call.handler.response_serializer
        await self._call.send_message(encode(message) if encode is not None else message)

    def _raise_if_cancelled(self) -> None:
        if self._call.cancelled:  # The method was told, and went on.
            raise asyncio.CancelledError("the call has ended")

    def set_compression(self, compression: Any) -> None:
        """Does nothing: responses go uncompressed, which every client reads."""

    def disable_next_message_compression(self) -> None:
        """Does nothing: responses go uncompressed."""

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        """Returns what TLS says of the client, by gRPC's names; empty without TLS."""
        tls = self._call.transport_info("ssl_object")
        if tls is None:
            return {}
        context: dict[str, Iterable[bytes]] = {"transport_security_type": [b"ssl"]}
        certificate = tls.getpeercert() or {}
        alternatives = [value.encode() for _, value in certificate.get("subjectAltName", ())]
        names = [
            value.encode() for part in certificate.get("subject", ()) for name, value in part if name == "commonName"
        ]
        if alternatives:
            context["x509_subject_alternative_name"] = alternatives
        if names:
            context["x509_common_name"] = names
        return context

    def peer_identity_key(self) -> str | None:
        """Returns under which name `auth_context` has the client's identities; `None` without a certificate."""
        context = self.auth_context()
        keys = ("x509_subject_alternative_name", "x509_common_name")
        return next((key for key in keys if key in context), None)

    def peer_identities(self) -> Iterable[bytes] | None:
        """Returns the names in the client's certificate; `None` without one."""
        key = self.peer_identity_key()
        return None if key is None else self.auth_context()[key]


def _checked(metadata: MetadataLike) -> MetadataTuple:
    """Returns metadata that can be sent; raises ValueError at once for others, not when it is too late."""
    entries = tuple((key, value) for key, value in metadata)
    write_metadata(entries)
    return entries
