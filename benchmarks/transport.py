"""CPU that a call takes on the server: ours beside gRPC's own library, in turns.

    python -m benchmarks.transport [--seconds 3] [--repeats 3]

A server answers with a message of 1,500 bytes, or refuses. It has a core to itself, the generator has another. What is
compared is the CPU of the server's process for each call, for the clock depends on who else is on the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from benchmarks.generator.__main__ import make_plan, only_on, run
from sample.server_process import REPOSITORY
from server.transport.server import Server

ANSWER = bytes(1500)
IN_FLIGHT = 16
SERVICE = "chaja.v1.SearchService"
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Running:
    """A server in a process of its own."""

    address: str
    pid: int

    @property
    def cpu_seconds(self) -> float:
        """CPU that it has taken so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def main() -> None:
    """Prints every figure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.transport", description=__doc__)
    parser.add_argument("--seconds", type=int, default=3, help="length of each measurement")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--serve", choices=("transport", "grpc.aio"), help=argparse.SUPPRESS)
    parser.add_argument("--refuse", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.serve, refuse=options.refuse))
    else:
        measure(options.seconds, options.repeats)


def measure(seconds: int, repeats: int) -> None:
    """Prints the CPU of a call for each server and kind of call."""
    cores = sorted(os.sched_getaffinity(0))
    kinds = [(name, refuse) for refuse in (False, True) for name in ("transport", "grpc.aio")]
    costs: dict[tuple[str, bool], list[float]] = {kind: [] for kind in kinds}
    with contextlib.ExitStack() as stack, only_on(cores[0]):
        servers = {
            (name, refuse): stack.enter_context(running(name, refuse=refuse, core=cores[-1])) for name, refuse in kinds
        }
        for _ in range(repeats):
            for kind, server in servers.items():
                costs[kind].append(cost(server, seconds))
    for (name, refuse), values in costs.items():
        each = " ".join(f"{value * 1e6:.0f}" for value in values)
        what = "refused" if refuse else "answered"
        print(f"  {name:10} {what:9} {statistics.median(values) * 1e6:6.1f} µs of CPU a call; each: {each}")


def cost(server: Running, seconds: int) -> float:
    """Returns the CPU seconds that a server takes for each call of a closed loop."""
    plan = make_plan(server.address, seconds=seconds, in_flight=IN_FLIGHT)
    before = server.cpu_seconds
    summary = run(plan)
    calls = summary.total.sent * (seconds + plan.warm_up_seconds) / seconds
    return (server.cpu_seconds - before) / calls


@contextlib.contextmanager
def running(name: str, *, refuse: bool, core: int) -> Iterator[Running]:
    """Runs a server on one core."""
    command = [sys.executable, "-m", "benchmarks.transport", "--serve", name]
    command += ["--refuse"] if refuse else []
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        os.sched_setaffinity(process.pid, {core})
        assert process.stdout is not None
        try:
            yield Running(f"127.0.0.1:{int(process.stdout.readline())}", process.pid)
        finally:
            process.kill()


async def serve(name: str, *, refuse: bool) -> None:
    """Serves until it is killed; prints its port."""

    async def answer(request: bytes, context: Any) -> bytes:
        return ANSWER

    async def refuse_it(request: bytes, context: Any) -> bytes:
        return await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many calls")  # type: ignore[no-any-return]

    methods: dict[str, Any] = {"Search": grpc.unary_unary_rpc_method_handler(refuse_it if refuse else answer)}
    if name == "transport":
        server = Server(max_message_bytes=4 * 1024 * 1024)
        server.add_registered_method_handlers(SERVICE, methods)
        port = await server.listen("127.0.0.1", 0)
    else:
        library = grpc.aio.server()
        library.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
        port = library.add_insecure_port("127.0.0.1:0")
        await library.start()
    print(port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    main()
