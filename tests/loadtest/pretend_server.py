"""A gRPC server without a model, in a separate process: answers any method after a delay, stalls, refuses, or dies.

    python -m tests.loadtest.pretend_server --delay 0.005 --stall-after 10 --stall 1

It prints the port that it listens on.
"""

import argparse
import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc

from tests.ports import listening


class PretendService(grpc.GenericRpcHandler):
    """Answers every method with an empty or a given message, with the faults that the options ask for."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._first: float | None = None
        self._calls = 0
        self._stalled = False
        self._values: set[Any] = set()
        self._answers = [bytes.fromhex(answer) for answer in options.answers.split(",")]

    def service(self, handler_call_details: Any) -> Any:
        """Returns the handler of any method.

        Methods named `…Stream` repeat each message three times, or send the given answers, each call beginning with
        another one. `…Watch` never ends.
        """
        if handler_call_details.method.endswith("Watch"):
            return grpc.unary_stream_rpc_method_handler(self._watch)
        if handler_call_details.method.endswith("Stream"):
            return grpc.stream_stream_rpc_method_handler(self._stream)
        return grpc.unary_unary_rpc_method_handler(self._answer)

    async def _answer(self, request: bytes, context: Any) -> bytes:
        options = self._options
        if options.token and dict(context.invocation_metadata()).get("authorization") != f"Bearer {options.token}":
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no token")
        if options.unique_header:
            value = dict(context.invocation_metadata()).get(options.unique_header)
            if value is None or value in self._values:
                await context.abort(grpc.StatusCode.ALREADY_EXISTS, f"no other {options.unique_header}: {value!r}")
            self._values.add(value)
        self._calls += 1
        if self._first is None:
            self._first = time.monotonic()
        age = time.monotonic() - self._first
        if options.stall and not self._stalled and age >= options.stall_after:
            self._stalled = True
            time.sleep(options.stall)  # Blocks the whole process, like a long garbage collection.
        if options.die_after and age >= options.die_after:
            os._exit(1)
        if options.shed_every and self._calls % options.shed_every == 0:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no room")
        if options.fail_every and self._calls % options.fail_every == 0:
            await context.abort(grpc.StatusCode.INTERNAL, "a fault")
        if options.delay:
            await asyncio.sleep(options.delay)
        return self._answers[self._calls % len(self._answers)]

    async def _watch(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        while True:
            yield b""
            await asyncio.sleep(self._options.delay)

    async def _stream(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        self._calls += 1
        if self._options.answers:
            first = self._calls % len(self._answers)
            for answer in self._answers[first:] + self._answers[:first]:
                yield answer
            return
        async for request in requests:
            for _ in range(3):
                yield request


async def _serve(options: argparse.Namespace) -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((PretendService(options),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await server.wait_for_termination()


def pretend_server(**options: float | str) -> contextlib.AbstractContextManager[str]:
    """Runs a server with options such as `stall=1`; yields its address."""
    return listening("tests.loadtest.pretend_server", **options)


def main() -> None:
    """Serves until it is killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--token", default="", help="reject calls without this token")
    parser.add_argument("--answers", default="", help="serialized answers in hexadecimal, separated by commas")
    parser.add_argument("--unique-header", default="", help="fail calls without another value of this header")
    parser.add_argument("--delay", type=float, default=0.0, help="delay of each answer in seconds")
    parser.add_argument("--stall", type=float, default=0.0, help="block the process once for this many seconds")
    parser.add_argument("--stall-after", type=float, default=0.0, help="seconds from the first call to the stall")
    parser.add_argument("--die-after", type=float, default=0.0, help="seconds from the first call to a sudden exit")
    parser.add_argument("--shed-every", type=int, default=0, help="refuse each n-th call")
    parser.add_argument("--fail-every", type=int, default=0, help="fail each n-th call")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
