"""A minimal gRPC server in Python that parses HTTP/2 frames only as far as necessary.

    python -m benchmarks.generator.trivial_server [--delay SECONDS]

A real gRPC server in Python takes more CPU time per call than the generator, and would limit the measurement. This
server answers every unary call with an empty message, and prints its port. RFC 9113.
"""

import argparse
import asyncio
import os
from contextlib import AbstractContextManager
from typing import cast

from tests.ports import listening

PREFACE_BYTES, HEADER_BYTES = 24, 9
DATA, SETTINGS, PING = 0, 4, 6
END_STREAM = ACK = 1
ACKNOWLEDGED = b"\0\0\0\4\1\0\0\0\0"
MANY_STREAMS = b"\0\0\6\4\0\0\0\0\0" + b"\0\3" + (1_000_000).to_bytes(4, "big")
# Three frames, each with a field for the stream. The headers are :status 200 by its index, content-type and grpc-status
# as literals (HPACK, RFC 7541); the message between them is empty.
ANSWER = b"\0\0\x14\1\4%b\x88\x0f\x10\x10application/grpc\0\0\5\0\0%b\0\0\0\0\0\0\0\x0f\1\5%b\0\x0bgrpc-status\x010"
CREDIT_BYTES = 16_384


class Connection(asyncio.Protocol):
    """The connection of one client."""

    def __init__(self, delay_seconds: float) -> None:
        self._delay_seconds = delay_seconds
        self._waiting = b""
        self._greeted = False
        self._taken_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Sends the settings with the limit of streams."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(MANY_STREAMS)

    def data_received(self, data: bytes) -> None:
        """Answers the calls whose last frame has arrived."""
        data = self._waiting + data
        start = 0
        if not self._greeted:
            if len(data) < PREFACE_BYTES:
                self._waiting = data
                return
            start, self._greeted = PREFACE_BYTES, True
        now, ended = [], []
        size = len(data)
        while size - start >= HEADER_BYTES:
            length = (data[start] << 16) | (data[start + 1] << 8) | data[start + 2]
            end = start + HEADER_BYTES + length
            if size < end:
                break
            kind, flags = data[start + 3], data[start + 4]
            if kind == DATA:
                self._taken_bytes += length
                if flags & END_STREAM:
                    stream = data[start + 5 : start + 9]
                    ended.append(ANSWER % (stream, stream, stream))
            elif kind == SETTINGS and not flags & ACK:
                now.append(ACKNOWLEDGED)
            elif kind == PING and not flags & ACK:
                now.append(_frame(PING, ACK, b"\0\0\0\0", data[start + HEADER_BYTES : end]))
            start = end
        self._waiting = data[start:]
        if self._taken_bytes > CREDIT_BYTES:
            now.append(_frame(8, 0, b"\0\0\0\0", self._taken_bytes.to_bytes(4, "big")))
            self._taken_bytes = 0
        if ended and self._delay_seconds:
            asyncio.get_running_loop().call_later(self._delay_seconds, self._transport.write, b"".join(ended))
            ended = []
        if now or ended:
            self._transport.write(b"".join((*now, *ended)))


def _frame(kind: int, flags: int, stream: bytes, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream + payload


def trivial_server(*, delay: float = 0.0, core: int | None = None) -> AbstractContextManager[str]:
    """Runs a server that answers after `delay` seconds, on `core` if given; yields its address."""
    return listening("benchmarks.generator.trivial_server", delay=delay, core=core)


async def _serve(options: argparse.Namespace) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Connection(options.delay), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Serves until it is killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--delay", type=float, default=0.0, help="delay of each answer in seconds")
    parser.add_argument("--core", type=int, help="run on this core only")
    options = parser.parse_args()
    if options.core is not None:
        os.sched_setaffinity(0, {options.core})
    asyncio.run(_serve(options))


if __name__ == "__main__":
    main()
