"""A generator machine: a gRPC server that runs worker processes for one coordinator at a time."""

import hmac
import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import msgspec

from loadtest.clock import now_ns
from loadtest.environment import describe_environment
from loadtest.errors import UsageError
from loadtest.generator.handle import LocalMachine
from loadtest.machines.lifeline import Lifeline
from loadtest.machines.messages import (
    PATH,
    Begin,
    Delivered,
    Described,
    Part,
    Ping,
    Pong,
    Start,
    Stop,
    ToCoordinator,
    decode_order,
    encode,
    own_version,
)
from loadtest.results.blocks import LARGEST_BYTES, Block, Kind

BUSY_SECONDS = 2.0
"""Wait for the end of another run: a coordinator may return before its worker processes have ended."""

MOST_CALLS = 8
OPTIONS = (("grpc.so_reuseport", 0),)  # Otherwise two workers could listen on one port.

Log = Callable[[str], None]


class WorkerService(grpc.GenericRpcHandler):
    """Takes one coordinator at a time."""

    def __init__(self, *, token: str, log: Log) -> None:
        self._token = token.encode()
        self._log = log
        self._free = threading.Lock()

    def service(self, handler_call_details: Any) -> Any:
        """Returns the handler of the only method."""
        return grpc.stream_stream_rpc_method_handler(self._run) if handler_call_details.method == PATH else None

    def _run(self, orders: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        given = dict(context.invocation_metadata()).get("authorization", "")
        if self._token and not hmac.compare_digest(str(given).encode(), b"Bearer " + self._token):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "the token is missing or wrong")
        if not self._free.acquire(timeout=BUSY_SECONDS):
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "it runs the load of another coordinator")
        session = _Session(context.cancel, self._log)

        def end() -> None:
            session.end()
            self._free.release()

        # Not after the last report: if the connection is lost, gRPC does not resume this generator.
        if not context.add_callback(end):
            end()
            return
        threading.Thread(target=session.follow, args=(orders,), daemon=True).start()
        yield from session.reports()


class _Session:
    """The run of one coordinator, from its connection to its end."""

    def __init__(self, cancel: Callable[[], object], log: Log) -> None:
        self._cancel = cancel
        self._log = log
        self._reports: queue.SimpleQueue[ToCoordinator | None] = queue.SimpleQueue()
        self._machine: LocalMachine | None = None
        self._began: float | None = None
        self._lock = threading.Lock()  # Between the start of processes and the end.
        self._ended = False
        self._lifeline = Lifeline(self._lost)
        version, sources = own_version()
        self._reports.put(Described(version, sources, describe_environment()))

    def reports(self) -> Iterator[bytes]:
        """Yields the messages to the coordinator until the end."""
        while (report := self._reports.get()) is not None:
            if isinstance(report, Pong):
                report = msgspec.structs.replace(report, replied_ns=now_ns())
            yield encode(report)

    def follow(self, orders: Iterator[bytes]) -> None:
        """Follows the coordinator's orders until it ends the stream or is gone."""
        parts: list[bytes] = []
        try:
            for each in orders:
                received_ns = now_ns()
                self._lifeline.heard()
                match decode_order(each):
                    case Ping(number):
                        self._reports.put(Pong(number, received_ns, 0))
                    case Part(data):
                        parts.append(data)
                        if sum(map(len, parts)) > LARGEST_BYTES:
                            break
                    case Begin(numbers):
                        self._begin(b"".join(parts), numbers)
                        parts.clear()
                    case Start(start_ns) if self._machine is not None:
                        self._machine.start(start_ns)
                    case Stop() if self._machine is not None:
                        self._machine.stop()
        except (grpc.RpcError, msgspec.DecodeError):  # It is gone, or of another version.
            pass
        finally:
            self._reports.put(None)

    def end(self) -> None:
        """Kills the processes, and waits until they have exited."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
        self._lifeline.end()
        self._reports.put(None)
        if self._machine is not None and self._began is not None:
            self._machine.kill()
            self._log(f"the run ended after {time.monotonic() - self._began:.1f} s")

    def _begin(self, plan: bytes, numbers: list[int]) -> None:
        with self._lock:
            if self._ended or self._machine is not None:
                return
            self._machine, self._began = LocalMachine(), time.monotonic()
            self._log(f"a run begins; processes: {len(numbers)}")
            try:
                self._machine.begin(plan, numbers, self._deliver)
            except OSError as error:
                failure = {"message": f"no process can be started: {error.strerror}", "exit_code": 1}
                self._deliver(numbers[0], Block(Kind.FAILED, json.dumps(failure).encode()))

    def _deliver(self, number: int, block: Block | None) -> None:
        self._reports.put(Delivered(number, block.kind, block.payload) if block else Delivered(number, 0, b""))

    def _lost(self) -> None:
        self._log("the coordinator does not answer: its run is ended")
        self.end()
        self._cancel()


def serve(address: str, *, token: str, credentials: grpc.ServerCredentials | None, log: Log) -> tuple[grpc.Server, int]:
    """Returns the started server of a generator machine, and its port.

    Args:
        address: `HOST:PORT` to listen on; port 0 takes a free one.
        token: The token that coordinators must have; empty for none.
        credentials: Those of TLS; `None` for plain connections.
        log: Called with a line about each run.

    Raises:
        UsageError: The address cannot be listened on.
    """
    server = grpc.server(
        ThreadPoolExecutor(MOST_CALLS),
        handlers=[WorkerService(token=token, log=log)],
        options=OPTIONS,
        maximum_concurrent_rpcs=MOST_CALLS,
    )
    try:
        port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    except RuntimeError:
        raise UsageError(f"cannot listen on {address}: it is in use, or no address of this machine") from None
    server.start()
    return server, port
