"""A call of one message and one answer."""

from collections.abc import Sequence
from typing import Any

from grpc._cython import cygrpc  # type: ignore[attr-defined, unused-ignore]

from loadtest.codes import INTERNAL, OK
from loadtest.core.call import CLOSED, NO_FLAGS, Answer, Channel, Metadata, OnAnswer, known_code


class Unary:
    """A call of one message and one answer: all operations are one batch."""

    __slots__ = ("_channel", "_messages", "_on_answer", "handle")

    def __init__(self, channel: Channel, messages: Sequence[bytes], on_answer: OnAnswer) -> None:
        self._channel = channel
        self._messages = messages
        self._on_answer = on_answer
        self.handle: Any = None

    def operations(self, metadata: Metadata) -> tuple[Any, ...]:
        """Returns the operations, with the function that takes the event of their end."""
        batch = (
            cygrpc.SendInitialMetadataOperation(metadata, NO_FLAGS),
            cygrpc.SendMessageOperation(self._messages[0], NO_FLAGS),
            cygrpc.SendCloseFromClientOperation(NO_FLAGS),
            cygrpc.ReceiveInitialMetadataOperation(NO_FLAGS),
            cygrpc.ReceiveMessageOperation(NO_FLAGS),
            cygrpc.ReceiveStatusOnClientOperation(NO_FLAGS),
        )
        return ((batch, self._end),)

    def cancel(self) -> None:
        """Ends the call, if it has not ended."""
        if self.handle is not None:
            self.handle.cancel(cygrpc.StatusCode.cancelled, CLOSED)

    def _end(self, event: Any, at_ns: int) -> None:
        self._channel.calls.discard(self)
        operations = event.batch_operations
        message, status = operations[-2].message(), operations[-1]
        code = status.code()
        if code != OK:
            answer = Answer(known_code(code), status.details(), (), at_ns)
        elif message is None:
            answer = Answer(INTERNAL, "the answer has no message", (), at_ns)
        else:
            answer = Answer(OK, "", (message,), at_ns)
        self._on_answer(answer)
