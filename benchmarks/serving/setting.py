"""The setting of all measurements: bundle, queries, durations, and the start and load of servers."""

import asyncio
import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.serving.bare import Bare, encode_bare
from benchmarks.serving.queries import shuffled_queries
from benchmarks.serving.stretch import Stretch, drive
from loadtest.plan import Call, Plan
from loadtest.requests.method import find_method
from loadtest.requests.queries import Query
from loadtest.schedule import constant
from loadtest.target import Target
from sample.server_process import REPOSITORY, ServerProcess, running_server

CATALOGUE = REPOSITORY / "sample/catalogue.jsonl"
QUERIES = REPOSITORY / "sample/queries.jsonl"
IN_FLIGHT = 128
NO_CACHE = ("--cache-bytes", "0")
"""Encodes every query. Equal queries in flight still share one encoding."""

PATIENT = ("--longest-wait-seconds", "30")
"""Admits all calls in flight, even on a slow machine: refusals would distort the figures."""

LATE_SECONDS = 0.05
"""Looser than the default: server and generator share their cores, so sends are late more often."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The setting of a run.

    Attributes:
        bundle: The model.
        queries_file: The queries.
        seconds: Length of each measurement, after the warm-up.
        repeats: Repeats of each measurement.
        requests: Minimum number of searches of the measurement of losses; maximum before memory is measured.
        callers: Callers of the measurement of losses, each with one search in flight.
        changes: Number of changes of the server in the measurement of losses.
        swaps: Number of swaps of the bundle during searches.
        documents: Numbers of documents for which memory is measured.
        kept: Folder in which the vectors of `benchmarks.scale` are kept.
        apart: Whether the server has the first core for itself and the generator the others, if there are several.
    """

    bundle: Path
    queries_file: Path = QUERIES
    seconds: int = 5
    repeats: int = 3
    requests: int = 10_000
    callers: int = 50
    changes: int = 7
    swaps: int = 40
    documents: tuple[int, ...] = (0, 10_000, 100_000)
    kept: Path = REPOSITORY / "build/scale"
    apart: bool = False

    @cached_property
    def queries(self) -> tuple[Query, ...]:
        """The queries in their shuffled order."""
        return shuffled_queries(self.queries_file)

    @property
    def cores(self) -> list[int]:
        """The cores of the server. The generator shares them, unless they are apart."""
        return self._all_cores[:1] if self.apart else self._all_cores

    @property
    def generator_cores(self) -> list[int]:
        """The cores of the generator; none stands for all."""
        return self._all_cores[1:] if self.apart else self._all_cores

    def arguments(self, *flags: str) -> list[str]:
        """Returns the arguments of a server; the last value of a repeated flag counts."""
        usual = ["--bundle", str(self.bundle), "--catalogue", str(CATALOGUE)]
        return [*usual, "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", *flags]

    @cached_property
    def _all_cores(self) -> list[int]:
        return sorted(os.sched_getaffinity(0))

    @contextlib.contextmanager
    def server(self, *flags: str, module: str = "server") -> Iterator[ServerProcess]:
        """Runs a server, or a module that is a changed one, on its cores."""
        with contextlib.ExitStack() as stack:
            with self.on(self.cores):
                server = stack.enter_context(running_server(self.arguments(*flags), module=module))
            yield server

    def bare(self, *, threads: int, batch: int = 8) -> Bare:
        """Measures the encoder alone."""
        return encode_bare(self.bundle, self.queries_file, threads=threads, batch=batch, seconds=self.seconds)

    def closed(
        self, server: ServerProcess, *, in_flight: int = IN_FLIGHT, one_query: bool = False, **fields: Any
    ) -> Stretch:
        """Attacks with `in_flight` calls in flight, using the first query alone or all queries in order.

        Each request gets the fields, too.
        """
        queries = self.queries[:1] if one_query else self.queries
        return self._drive(server, in_flight=in_flight, queries=queries, fields=fields)

    def opened(
        self, server: ServerProcess, rate: float, *, poisson: bool = True, connections: int = 1, seed: int = 0
    ) -> Stretch:
        """Sends calls at a fixed rate in an open loop."""
        schedule = constant(
            rate, seconds=self.seconds, warm_up_seconds=self._warm_up_seconds, poisson=poisson, seed=seed
        )
        return self._drive(server, schedule=schedule, connections=connections)

    @property
    def _warm_up_seconds(self) -> float:
        return min(1.0, self.seconds / 2)

    def _drive(
        self, server: ServerProcess, *, connections: int = 1, fields: Mapping[str, Any] | None = None, **options: object
    ) -> Stretch:
        target = Target(address=server.address, connections=connections)
        template = {"query": "{{query}}", **fields} if fields else None
        call = Call(method=asyncio.run(find_method("Search", target=target)), template=template)
        arguments: dict[str, object] = {"queries": self.queries, **options}
        plan = Plan(
            target=target,
            calls=(call,),
            seconds=self.seconds,
            warm_up_seconds=self._warm_up_seconds,
            late_seconds=LATE_SECONDS,
            **arguments,  # type: ignore[arg-type]
        )
        with self.on(self.generator_cores):
            return drive(plan, server.process.pid)

    @contextlib.contextmanager
    def on(self, cores: Sequence[int]) -> Iterator[None]:
        """Starts processes and threads of this thread on these cores, or on all if there are none."""
        os.sched_setaffinity(0, cores or self._all_cores)
        try:
            yield
        finally:
            os.sched_setaffinity(0, self._all_cores)
