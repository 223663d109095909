"""One call: what came in, what goes out, and how it ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import grpc

from server.transport import frames, response
from server.transport.messages import Inbox, MessageRefused, prefix
from server.transport.metadata import MetadataTuple
from server.transport.outbox import FIRST_WINDOW_BYTES, NOTHING
from server.transport.request import Refusal, Request

if TYPE_CHECKING:
    from server.transport.connection import Connection

log = logging.getLogger(__name__)
LARGEST_HELD_BYTES = 64 * 1024 * 1024
"""Of a connection's requests that wait for their methods or for their ends, and of its open calls' headers; a call that
would hold more is refused."""

OK_TRAILERS = response.trailers(grpc.StatusCode.OK, "")


class Call:
    """A call in flight. Its connection gives it frames; its task, which runs the method, takes and writes messages.

    Attributes:
        stream: Its stream's number.
        request: Its headers.
        handler: What answers it.
        deadline: By the loop's clock; `None` without one.
        task: Runs the method, once it is time to.
        ended: Whether nothing of it is left on the connection.
        cancelled: Whether it ended before the method did: by the client, the deadline or the server.
        half_closed: Whether the client has sent all that it will.
        send_window: How much DATA the client takes.
        unsent: DATA that waits for it.
        trailers: Those that wait behind.
        initial_metadata: Sent with the first message.
        on_end: Called when it has ended.
    """

    __slots__ = (
        "_connection", "_head_sent", "_held_bytes", "_inbox", "_readable", "_receive_window", "_writable",
        "cancelled", "deadline", "ended", "half_closed", "handler", "initial_metadata", "on_end", "request",
        "send_window", "stream", "task", "trailers", "unsent",
    )  # fmt: skip

    def __init__(self, connection: Connection, stream: int, request: Request, handler: Any) -> None:
        self._connection = connection
        self.stream = stream
        self.request = request
        self.handler = handler
        self.deadline: float | None = None
        self.task: asyncio.Task[None] | None = None
        self.ended = False
        self.cancelled = False
        self.half_closed = False
        self.send_window = 0
        self.unsent: memoryview = NOTHING
        self.trailers = b""
        self.initial_metadata: MetadataTuple = ()
        self.on_end: list[Callable[[], None]] = []
        connection.held_bytes += request.size_bytes
        self._inbox = Inbox(request.encoding, connection.max_message_bytes)
        self._receive_window = FIRST_WINDOW_BYTES
        self._held_bytes = 0
        self._head_sent = False
        self._readable: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None

    @property
    def peer(self) -> str:
        """The client's address."""
        return self._connection.peer

    def transport_info(self, name: str) -> Any:
        """Returns what asyncio knows of the connection, such as `ssl_object`."""
        return self._connection.transport_info(name)

    # What comes in.

    def receive(self, data: bytes, frame_bytes: int, *, ends: bool) -> None:
        """Takes a DATA frame's content; `frame_bytes` counts padding too.

        Raises:
            StreamFault: It is more than the window allows, or comes after the end.
        """
        if self.half_closed:
            raise frames.StreamFault(self.stream, frames.STREAM_CLOSED, "DATA after END_STREAM")
        self._receive_window -= frame_bytes
        if self._receive_window < 0:
            raise frames.StreamFault(self.stream, frames.FLOW_CONTROL_ERROR, "more DATA than the window allows")
        try:
            self._inbox.feed(data)
        except MessageRefused as error:
            self.refuse(error.refusal)
            return
        if ends:
            self.half_close()
        else:
            self._open_window()
            self._wake_reader()
        if not self.ended:
            self._count_held()
            if self._connection.held_bytes > LARGEST_HELD_BYTES:
                text = "this connection holds too much of requests that are not taken"
                self.refuse(Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, text))

    def half_close(self) -> None:
        """The client has sent all."""
        self.half_closed = True
        if self._inbox.cut_short:
            self.refuse(Refusal(grpc.StatusCode.INTERNAL, "the request ends within a message"))
        elif self.task is not None:
            self._wake_reader()
        elif len(self._inbox.messages) != 1:
            count = len(self._inbox.messages)
            text = f"the method takes one message; the request has {count}"
            self.refuse(Refusal(grpc.StatusCode.UNIMPLEMENTED, text))
        else:
            self._connection.run(self)

    def single_message(self) -> bytes:
        """Returns the message of a request that has one."""
        message = self._inbox.take()
        self._count_held()
        return message

    async def next_message(self) -> bytes | None:
        """Returns the next message of the request, or `None` behind the last; waits for it."""
        while not self._inbox.messages:
            if self.half_closed or self.ended:
                return None
            if self._readable is None:
                self._readable = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._readable)
        message = self._inbox.take()
        self._count_held()
        self._open_window()
        return message

    def _open_window(self) -> None:
        """Lets the client send more, but not while a whole message waits to be taken: a slow method slows its client.

        A message that has begun is let in whole.
        """
        if self.half_closed or self.ended or self._inbox.messages:
            return
        wanted = max(FIRST_WINDOW_BYTES, self._inbox.missing_bytes)
        if self._receive_window < wanted // 2:
            self._connection.outbox.write(frames.window_update(self.stream, wanted - self._receive_window))
            self._receive_window = wanted

    def _count_held(self) -> None:
        """Tells the connection what it holds for this call besides its headers."""
        held = self._inbox.held_bytes
        self._connection.held_bytes += held - self._held_bytes
        self._held_bytes = held

    def _wake_reader(self) -> None:
        if self._readable is not None:
            self._readable.set_result(None)
            self._readable = None

    # What goes out.

    def send_head(self) -> None:
        """Sends the initial metadata, unless they are sent."""
        if not (self._head_sent or self.decided):
            self._head_sent = True
            self._connection.outbox.write(
                frames.header_frames(response.head(self.initial_metadata), self.stream, ends=False)
            )

    async def send_message(self, message: bytes) -> None:
        """Sends one message of a streamed response; waits until the client takes it."""
        if self.decided:
            return
        self.send_head()
        outbox = self._connection.outbox
        outbox.send(self, prefix(message) + message)
        if outbox.full:
            await asyncio.sleep(0)
        while self.unsent and not self.ended:
            if self._writable is None:
                self._writable = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._writable)

    def wake_writer(self) -> None:
        """All that waited is sent."""
        if self._writable is not None:
            self._writable.set_result(None)
            self._writable = None

    def respond(self, message: bytes, metadata: MetadataTuple) -> None:
        """Ends the call with its only message and OK."""
        if self.decided:
            return
        trailers = response.trailers(grpc.StatusCode.OK, "", metadata) if metadata else OK_TRAILERS
        outbox = self._connection.outbox
        if self._head_sent:
            outbox.send(self, prefix(message) + message)
            outbox.finish(self, trailers)
        else:
            self._head_sent = True
            outbox.respond(self, response.head(self.initial_metadata), prefix(message), message, trailers)

    def end(self, code: grpc.StatusCode, message: str, metadata: MetadataTuple = ()) -> None:
        """Ends the call with a status, behind the messages that still wait."""
        if self.decided:
            return
        if self._head_sent:
            block = response.trailers(code, message, metadata)
        else:
            block = response.trailers_only(code, message, (*self.initial_metadata, *metadata))
        self._connection.outbox.finish(self, block)

    def refuse_patiently(self, refusal: Refusal) -> None:
        """Ends the call with what is wrong about it, as soon as there is more to send."""
        outbox = self._connection.outbox
        outbox.patient = True
        self.refuse(refusal)
        outbox.patient = False

    def refuse(self, refusal: Refusal) -> None:
        """Ends the call at once with what is wrong about it; its method is cancelled, should it run."""
        if self.ended:
            return
        self._connection.outbox.drop(self)
        if refusal.http_status != 200:
            block = response.http_error(refusal.http_status, refusal.code, refusal.message)
            self._connection.outbox.finish(self, block)
        else:
            self.end(refusal.code, refusal.message, refusal.metadata)
        self._cancel_method()

    def expire(self) -> None:
        """Ends the call because its deadline has passed."""
        self.refuse(Refusal(grpc.StatusCode.DEADLINE_EXCEEDED, "the deadline has passed"))

    def abandon(self) -> None:
        """Ends the call without a word to the client, who has gone."""
        self.half_closed = True
        self._connection.outbox.drop(self)
        self.close()
        self._cancel_method()

    @property
    def decided(self) -> bool:
        """Whether its status is: nothing can be written any more, though some may still wait to be sent."""
        return self.ended or bool(self.trailers)

    def close(self) -> None:
        """All is sent, or never will be."""
        if self.ended:
            return
        self.ended = True
        self._inbox.clear()
        self._count_held()
        self._connection.held_bytes -= self.request.size_bytes
        self._connection.forget(self)
        self._wake_reader()
        self.wake_writer()
        for callback in self.on_end:
            try:
                callback()
            except Exception:
                log.exception("a callback at the end of %s failed", self.request.path)

    def _cancel_method(self) -> None:
        if self.task is not None and not self.task.done():
            self.cancelled = True
            self.task.cancel()
