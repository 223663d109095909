"""A grpc.aio server that returns the same bytes at once: the CPU cost of a call in gRPC alone.

`python -m benchmarks.serving.empty_server --answer-bytes N` prints its port and serves until it is killed.
"""

import argparse
import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import grpc

from chaja.v1 import SearchResponse
from sample.server_process import REPOSITORY, ServerProcess


class EmptyMethod(grpc.GenericRpcHandler):
    """Answers every unary call with the same bytes."""

    def __init__(self, answer_bytes: int) -> None:
        answer = SearchResponse(model_revision="r" * answer_bytes).SerializeToString()

        async def method(request: bytes, context: Any) -> bytes:
            return answer

        self._handler: Any = grpc.unary_unary_rpc_method_handler(method)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Returns the handler of the method."""
        return self._handler


@contextlib.contextmanager
def running_empty_server(answer_bytes: int) -> Iterator[ServerProcess]:
    """Runs the server in a separate process, on the cores allowed for this thread."""
    command = [sys.executable, "-m", __name__, "--answer-bytes", str(answer_bytes)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None, "stdout is a pipe"
        try:
            yield ServerProcess(process, address=f"127.0.0.1:{int(process.stdout.readline())}")
        finally:
            process.kill()


async def serve(answer_bytes: int) -> None:
    """Serves on a free port of the loopback."""
    server = grpc.aio.server(handlers=[EmptyMethod(answer_bytes)])
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await server.wait_for_termination()


def main() -> None:
    """Reads the flag and serves."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.empty_server", description=__doc__)
    parser.add_argument("--answer-bytes", type=int, required=True)
    asyncio.run(serve(parser.parse_args().answer_bytes))


if __name__ == "__main__":
    main()
