"""The coordinator's side of a generator machine."""

import itertools
import json
import queue
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import grpc
import msgspec

from loadtest.clock import now_ns
from loadtest.errors import AttackError, ExitCode, LoadtestError, UsageError
from loadtest.generator.handle import Deliver
from loadtest.machines import messages
from loadtest.machines.lifeline import Lifeline
from loadtest.machines.messages import PART_BYTES, PATH, SILENT_SECONDS, Begin, Delivered, Described, Part, Pong
from loadtest.machines.offset import Exchange, measure_offset
from loadtest.programs import PROGRAM
from loadtest.results.blocks import Block, Kind
from loadtest.target import Target

HEAD_START_SECONDS = 0.5
ANSWER_SECONDS = 10.0
END_SECONDS = 5.0
OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),
    ("grpc.max_receive_message_length", -1),
    ("grpc.min_reconnect_backoff_ms", 5000),  # Despite its name: the time limit of one attempt to connect.
    ("grpc.use_local_subchannel_pool", 1),
)


class RemoteMachine:
    """The worker processes of another machine, driven as those of this one (`LocalMachine`).

    Attributes:
        name: The worker's address.
        offset: How far its clock was ahead of ours before the run.
        numbers: The numbers of its processes.

    Raises:
        UsageError: The worker refuses the token, or a certificate cannot be read.
        AttackError: It cannot be reached, is busy, or is another version.
    """

    def __init__(self, worker: Target) -> None:
        self.name = worker.address
        self.numbers: Sequence[int] = ()
        self._deliver: Deliver | None = None
        self._running: set[int] = set()
        self._failure: LoadtestError | None = None
        self._connected = self._silent = False
        self._outgoing: queue.SimpleQueue[messages.ToMachine | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Described | tuple[Pong, int] | None] = queue.SimpleQueue()
        self._pings = itertools.count(1)
        self._sent_ns: dict[int, int] = {}
        credentials = worker.credentials()
        self._channel = (
            grpc.secure_channel(worker.uris[0], credentials, options=OPTIONS)
            if credentials
            else grpc.insecure_channel(worker.uris[0], options=OPTIONS)
        )
        self._lifeline = Lifeline(self._lost, beat=lambda: self._outgoing.put(messages.Ping(0)))
        run: Any = self._channel.stream_stream(PATH)
        self._call: Any = run(self._orders(), metadata=worker.metadata())
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()
        try:
            self._described = self._check(self._answer())
            self._connected = True
            self.offset = measure_offset(self._ping)
        except BaseException:
            self.kill()
            raise

    @property
    def head_start_seconds(self) -> float:
        """Time that the start time needs to arrive, with a reserve."""
        return HEAD_START_SECONDS + 2 * self.offset.bound_seconds

    def described(self) -> dict[str, Any]:
        """Returns the machine for the results file."""
        return {
            "address": self.name,
            "processes": list(self.numbers),
            "clock_bound_seconds": self.offset.bound_seconds,
            "environment": self._described.environment,
        }

    def drift(self) -> dict[str, Any] | None:
        """Returns by how much its clock has moved against ours since the start; `None` if it was lost."""
        try:
            now = measure_offset(self._ping)
        except LoadtestError:
            return None
        moved = (now.ns - self.offset.ns) / 1e9
        return {"address": self.name, "drift_seconds": moved, "bound_seconds": now.bound_seconds}

    def begin(self, plan: bytes, numbers: Sequence[int], deliver: Deliver) -> None:
        """Starts the processes with these numbers."""
        self.numbers, self._running, self._deliver = numbers, set(numbers), deliver
        for first in range(0, len(plan), PART_BYTES):
            self._outgoing.put(Part(plan[first : first + PART_BYTES]))
        self._outgoing.put(Begin(list(numbers)))

    def start(self, start_ns: int) -> None:
        """Sends the start time, given by our clock. Call it when all processes are ready."""
        self._outgoing.put(messages.Start(start_ns + self.offset.ns))

    def stop(self) -> None:
        """Asks the processes to stop; they still send their remaining records."""
        self._outgoing.put(messages.Stop())

    def kill(self) -> None:
        """Ends the connection, which kills the processes, and waits until they have exited."""
        self._outgoing.put(None)
        self._thread.join(END_SECONDS)
        self._call.cancel()
        self._lifeline.end()
        self._channel.close()

    def _orders(self) -> Iterator[bytes]:
        while (order := self._outgoing.get()) is not None:
            if isinstance(order, messages.Ping):
                self._sent_ns[order.number] = now_ns()
            elif isinstance(order, Part):  # The part before has left: a slow network is no silence.
                self._lifeline.heard()
            yield messages.encode(order)

    def _follow(self) -> None:
        try:
            for each in self._call:
                returned_ns = now_ns()
                self._lifeline.heard()
                match messages.decode_report(each):
                    case Delivered(number, Kind.FAILED, payload):
                        failure = json.loads(payload)
                        self._fail(number, f"worker {self.name}: {failure['message']}", failure["exit_code"])
                    case Delivered(number, kind, payload):
                        self._take(number, kind, payload)
                    case Pong() as pong:
                        if pong.number:
                            self._answers.put((pong, returned_ns))
                    case Described() as described:
                        self._answers.put(described)
            self._failure = AttackError(f"worker {self.name} has ended the run")
        except grpc.RpcError as error:
            self._failure = self._reason(error)
        except msgspec.DecodeError:
            self._failure = self._another_version()
        self._lifeline.end()
        self._answers.put(None)
        for number in self._running.copy():
            self._fail(number, f"{self._failure}; its results until then are kept", ExitCode.FAILED)

    def _take(self, number: int, kind: int, payload: bytes) -> None:
        if kind in (0, Kind.END, Kind.FAILED):
            self._running.discard(number)
        if self._deliver is not None:
            self._deliver(number, Block(Kind(kind), payload) if kind else None)

    def _fail(self, number: int, message: str, exit_code: int) -> None:
        failure = {"message": message, "exit_code": exit_code}
        self._take(number, Kind.FAILED, json.dumps(failure).encode())

    def _answer(self) -> Described | tuple[Pong, int]:
        try:
            answer = self._answers.get(timeout=ANSWER_SECONDS)
        except queue.Empty:
            raise AttackError(f"worker {self.name} does not answer within {ANSWER_SECONDS:g} seconds") from None
        if answer is None:
            self._answers.put(None)  # For the next question.
            assert self._failure is not None, "the end has a reason"
            raise self._failure
        return answer

    def _ping(self) -> Exchange:
        number = next(self._pings)
        self._outgoing.put(messages.Ping(number))
        while True:
            match self._answer():
                case (Pong() as pong, returned_ns) if pong.number == number:
                    return Exchange(self._sent_ns.pop(number), pong.received_ns, pong.replied_ns, returned_ns)

    def _check(self, described: Any) -> Described:
        if not isinstance(described, Described) or (described.version, described.sources) != messages.own_version():
            raise self._another_version()
        return described

    def _another_version(self) -> AttackError:
        version, _ = messages.own_version()
        return AttackError(
            f"worker {self.name} is another version of the load tester than this, {version}, or has other sources: "
            "install the same"
        )

    def _lost(self) -> None:
        self._silent = True
        self._call.cancel()

    def _reason(self, error: Any) -> LoadtestError:
        """Returns the reason why the connection has ended."""
        code, details = error.code(), error.details()
        if self._silent:
            return AttackError(f"worker {self.name} was silent for {SILENT_SECONDS:g} seconds")
        if code == grpc.StatusCode.UNAUTHENTICATED:
            return UsageError(f"worker {self.name} refuses the token: give --worker-token the one of the worker")
        if code == grpc.StatusCode.UNIMPLEMENTED:
            return AttackError(f"{self.name} is not a worker of this version: start `{PROGRAM} worker` there")
        if code == grpc.StatusCode.RESOURCE_EXHAUSTED:
            return AttackError(f"worker {self.name} is busy: {details}; try again later")
        return AttackError(f"worker {self.name} {'was lost' if self._connected else 'cannot be reached'}: {details}")


def connect(workers: Sequence[Target]) -> list[RemoteMachine]:
    """Connects to all workers at the same time; if one fails, closes the connections to all.

    Raises:
        LoadtestError: The error of the first worker that failed.
    """
    connecting: list[Future[RemoteMachine]] = []
    try:
        with ThreadPoolExecutor(len(workers)) as pool:
            connecting += [pool.submit(RemoteMachine, worker) for worker in workers]
        return [each.result() for each in connecting]
    except BaseException:
        for each in connecting:
            if each.done() and each.exception() is None:
                each.result().kill()
        raise
