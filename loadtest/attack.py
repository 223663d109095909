"""Runs an attack: starts the worker processes, gives them a common start time, and stores their reports.

The processes run on this machine or on others (`loadtest.machines`), with the same messages and the same results.

    plan = Plan(target=Target(address="127.0.0.1:50051"), calls=(Call(method=method),), queries=queries,
                schedule=constant(500), seconds=20)
    attack(plan, Path("results.bin"))

Only the coordinator writes the results file. If a worker or the run fails, the file keeps everything measured until
then and says that it is partial.
"""

import contextlib
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from loadtest.clock import now_ns
from loadtest.codes import DENIED
from loadtest.environment import describe_environment
from loadtest.errors import AttackError, Denied, UsageError
from loadtest.generator.handle import Inbox, LocalMachine
from loadtest.generator.loops import share_of
from loadtest.generator.wire import encode_plan
from loadtest.machines.remote import RemoteMachine, connect
from loadtest.plan import Plan
from loadtest.progress import Progress
from loadtest.results.blocks import Block, Kind
from loadtest.results.file import ResultsWriter
from loadtest.scrape import Scraper
from loadtest.target import Target

READY_SECONDS = 60.0
STOP_SECONDS = 15.0
HURRIED_STOP_SECONDS = 2.0
"""Patience after a second Ctrl-C: the workers record what is unanswered a second after the first."""

TICK_SECONDS = 0.2
LEAST_DENIED = 10
"""Fewer denials may be those of one call of a mix, or of one user."""

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Observer = Callable[[Progress], None]
Machine = LocalMachine | RemoteMachine


@dataclass(frozen=True)
class Ending:
    """The end of an attack.

    Attributes:
        partial: Why the results are partial; empty if they are whole.
        interrupted: Whether Ctrl-C, SIGTERM or SIGHUP ended the attack.
        lost: Calls that were in flight at the last report of a process that died; they have no record.
    """

    partial: str = ""
    interrupted: bool = False
    lost: int = 0


def attack(
    plan: Plan,
    out: Path,
    *,
    workers: Sequence[Target] = (),
    observer: Observer | None = None,
    command_line: str = "",
) -> Ending:
    """Runs a plan and writes its results.

    Args:
        plan: The plan to run.
        out: The results file.
        workers: The generator machines that share the plan's processes, each with a running `worker` command; empty for
            this machine alone.
        observer: Called with the progress several times a second.
        command_line: Stored in the results file.

    Returns:
        How it ended. After the start, Ctrl-C, SIGTERM and SIGHUP make the results partial and are not raised.

    Raises:
        AttackError: The server or a generator machine did not answer, the first answers all denied access, or no
            process could run; no file remains.
        ResultsError: The results file cannot be written.
    """
    inbox: Inbox = queue.Queue()
    encoded = encode_plan(plan)
    machines = _machines(plan, workers)
    try:
        first = 0
        for place, machine in enumerate(machines):
            numbers = range(first, first := first + share_of(plan.processes, place, len(machines)))
            machine.begin(encoded, numbers, lambda number, block: inbox.put((number, block)))
        _wait_until_ready(inbox, plan.processes)
        head_start_seconds = max(machine.head_start_seconds for machine in machines)
        header = {
            "plan": plan.described(),
            "environment": describe_environment(command_line),
            "workers": [described for machine in machines if (described := machine.described())],
            "started": time.time() + head_start_seconds,
        }
        with ResultsWriter(out, header) as results:
            with _interrupts() as interrupts:
                ending = _Run(plan, machines, inbox, results, observer, interrupts).run(head_start_seconds)
                clocks = [] if ending.interrupted else [drift for machine in machines if (drift := machine.drift())]
            results.json(Kind.END, {**asdict(ending), "clocks": clocks})
        return ending
    except Denied:
        if out.is_file():  # It may be a device, such as /dev/null.
            out.unlink()
        raise
    finally:
        for machine in machines:
            machine.kill()


def _machines(plan: Plan, workers: Sequence[Target]) -> Sequence[Machine]:
    """Returns this machine, or the others; raises UsageError if a machine would get no process."""
    if not workers:
        return [LocalMachine()]
    if len(workers) > plan.processes:
        raise UsageError(f"{len(workers)} machines (--workers) need at least as many processes, not {plan.processes}")
    return connect(workers)


@dataclass
class _Run:
    """One run, from its start to the exit of the last worker."""

    plan: Plan
    machines: Sequence[Machine]
    inbox: Inbox
    results: ResultsWriter
    observer: Observer | None
    interrupts: list[int]

    def __post_init__(self) -> None:
        self._progress = Progress(self.plan)
        self._running = set(range(self.plan.processes))
        self._unanswered = 0
        self._in_flight: dict[int, int] = {}
        self._troubles: list[str] = []
        self._interrupted_at: float | None = None

    def run(self, head_start_seconds: float) -> Ending:
        """Sends the first request after `head_start_seconds`; returns how the run ended."""
        start_ns = now_ns() + int((head_start_seconds + self.plan.warm_up_seconds) * 1e9)
        for machine in self.machines:
            machine.start(start_ns)
        plan = self.plan
        longest = plan.seconds + plan.deadline_seconds + STOP_SECONDS
        with Scraper(plan.metrics_url, token=plan.metrics_token, start_ns=start_ns) as scraper:
            while self._running:
                self._step(start_ns, scraper)
                codes, known = self._progress.codes, self._progress.records >= LEAST_DENIED or not self._running
                if known and codes and codes <= DENIED.keys():
                    name = DENIED[min(codes)]
                    raise Denied(f"the server denies every call ({name}): set --token to a token that permits them")
                if self.interrupts and self._interrupted_at is None:
                    self._interrupted_at = time.monotonic()
                    for machine in self.machines:
                        machine.stop()
                since = self._interrupted_at
                patience = HURRIED_STOP_SECONDS if len(self.interrupts) > 1 else STOP_SECONDS
                if self._progress.seconds > longest or (since and time.monotonic() - since > patience):
                    self._troubles.append(f"generator processes killed because they did not stop: {len(self._running)}")
                    break
            for metrics in scraper.take():
                self.results.json(Kind.METRICS, metrics)
        if self._interrupted_at is not None:
            seconds = max(0.0, self._interrupted_at - start_ns / 1e9)
            self._troubles.insert(0, f"interrupted after {seconds:.1f} s; {self._unanswered:,} calls were unanswered")
        interrupted = self._interrupted_at is not None
        return Ending("; ".join(self._troubles), interrupted=interrupted, lost=sum(self._in_flight.values()))

    def _step(self, start_ns: int, scraper: Scraper) -> None:
        deadline = time.monotonic() + TICK_SECONDS
        while (left := deadline - time.monotonic()) > 0 and self._running:
            try:
                number, block = self.inbox.get(timeout=left)
            except queue.Empty:
                break
            self._take(number, block)
        for metrics in scraper.take():
            self.results.json(Kind.METRICS, metrics)
        self._progress.tick()
        self._progress.seconds = (now_ns() - start_ns) / 1e9
        if self.observer is not None:
            self.observer(self._progress)

    def _take(self, number: int, block: Block | None) -> None:
        if block is None:
            if number in self._running:
                self._running.discard(number)
                [name] = [machine.name for machine in self.machines if number in machine.numbers]
                self._troubles.append(f"generator process {number}{name and f' of worker {name}'} died")
        elif block.kind == Kind.RECORDS:
            self.results.records(block.payload)
            self._progress.add(block.payload)
        elif block.kind == Kind.VITALS:
            vitals = block.json()
            self.results.json(Kind.VITALS, vitals)
            self._progress.note(vitals)
            # Before the start, and in the warm-up, no call counts.
            self._in_flight[number] = int(vitals["in_flight"]) if vitals["seconds"] >= 0 else 0
        elif block.kind == Kind.FAILED:
            self._running.discard(number)
            if (message := str(block.json()["message"])) not in self._troubles:  # Of each process of a lost machine.
                self._troubles.append(message)
        elif block.kind == Kind.END:
            end = block.json()
            self._unanswered += int(end["unanswered"])
            self._in_flight.pop(number, None)
            self._running.discard(number)


@contextlib.contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Yields the list of received signals of `STOPPING`. They raise nothing here, so that no block is lost."""
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came  # Python handles signals in the main thread only.
        return
    heeded = [each for each in STOPPING if each != signal.SIGHUP or signal.getsignal(each) != signal.SIG_IGN]  # nohup
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in heeded}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait_until_ready(inbox: Inbox, processes: int) -> None:
    deadline = time.monotonic() + READY_SECONDS
    ready = 0
    while ready < processes:
        try:
            number, block = inbox.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise AttackError(f"generator processes that are not ready: {processes - ready} of {processes}") from None
        if block is None:
            raise AttackError(f"generator process {number} ended before the start")
        if block.kind == Kind.FAILED:
            failure = block.json()
            kind = UsageError if failure["exit_code"] == UsageError.exit_code else AttackError
            raise kind(failure["message"])
        ready += block.kind == Kind.READY
