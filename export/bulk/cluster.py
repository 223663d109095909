"""Runs the work on Ray Data: on this machine, or on a cluster."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import signal
import sys
import warnings
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc

from export.bulk.checking import Work
from export.errors import ExportError, library_errors
from server.cpus import usable_cpus
from server.encoding.cutting import Cutting
from server.setting_types import Address

ENCODER_CPUS = 0.95
READER_CPUS = 0.05
"""Shares of a core that Ray counts. Encoders of a whole core would leave none for reading, and wait forever."""

ENCODERS_OF_READER = 16
"""Encoders for each task that reads at the same time."""

TASKS_IN_FLIGHT = 2
"""Portions of an encoder: one is encoded while the next one is on its way."""

MAX_RETRIES = 10
"""Lost workers after which a portion counts as the cause of the losses."""

CONNECT_SECONDS = 5.0

STDERR = 2
"""The descriptor of stderr."""

INSTALL = "bulk encoding needs Ray: pip install 'ray[data]>=2.60,<3'"

SURROUNDINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # It would report to Ray's authors.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # Its absence is a warning.
}


def check_ray(address: Address | None) -> None:
    """Raises ExportError if Ray is not installed, or nothing listens at its address. Takes a few seconds."""
    if any(importlib.util.find_spec(name) is None for name in ("ray", "pyarrow")):
        raise ExportError(INSTALL)
    if address is None:
        return
    with grpc.insecure_channel(str(address)) as channel:
        try:  # Ray would try for many minutes.
            grpc.channel_ready_future(channel).result(CONNECT_SECONDS)
        except grpc.FutureTimeoutError:
            raise ExportError(f"no Ray cluster answers at {address}: name its head, as in head:6379") from None


@contextlib.contextmanager
def open_cluster(address: Address | None, encoders: int) -> Iterator[int]:
    """Connects to a Ray cluster, or starts Ray on this machine; yields the number of encoders.

    That is `encoders`, or one for each core if it is 0. Within the context Ray writes nothing on stdout and stderr.
    Raises ExportError.
    """
    os.environ |= {name: value for name, value in SURROUNDINGS.items() if name not in os.environ}
    import ray

    with _silence():
        try:
            with (
                _own_signals(),
                library_errors(f"Ray cannot be used at {address}" if address else "Ray cannot be started"),
            ):
                if address is None:
                    encoders = encoders or usable_cpus()
                    ray.init(address="local", num_cpus=encoders, include_dashboard=False, log_to_driver=False)
                else:
                    ray.init(address=str(address), log_to_driver=False)
            yield encoders or max(1, int(ray.cluster_resources().get("CPU", 1)))  # type: ignore[no-untyped-call]
        finally:
            ray.shutdown()


def encoded_rows(
    works: Sequence[Work], bundle: Path, cutting: Cutting, revision: str, *, encoders: int
) -> Generator[Any, None, None]:
    """Yields the rows of encoded portions in the order of the documents, whichever workers are lost meanwhile.

    Raises ExportError if Ray fails.
    """
    from ray.data import ActorPoolStrategy, DataContext, TaskPoolStrategy, from_items

    from export.bulk.portions import work_rows
    from export.bulk.worker import Encoder, read_portions

    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.target_max_block_size = 1  # Each row is a block.
    context.execution_options.preserve_order = True
    with library_errors("Ray has failed, and its logs say more"):
        rows = (
            from_items(work_rows(works), override_num_blocks=len(works))
            .map_batches(
                read_portions,
                batch_size=1,
                batch_format="pyarrow",
                num_cpus=READER_CPUS,
                compute=TaskPoolStrategy(size=1 + encoders // ENCODERS_OF_READER),
            )
            .map_batches(
                Encoder,
                fn_constructor_args=(str(bundle), tuple(cutting), revision),
                batch_size=1,
                batch_format="pyarrow",
                num_cpus=ENCODER_CPUS,
                compute=ActorPoolStrategy(size=encoders, max_tasks_in_flight_per_actor=TASKS_IN_FLIGHT),
                ray_remote_args_fn=_remote_arguments,
            )
        )
        yield from rows.iter_batches(batch_size=None, batch_format="pyarrow")


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Restores the handlers of signals that Ray replaces when it starts. Meanwhile its own ends this process."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except SystemExit:
        raise KeyboardInterrupt from None
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _remote_arguments() -> dict[str, int]:
    return {"max_task_retries": MAX_RETRIES}


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Silences Ray, which logs errors that it recovers from, also in C++. `sys.stderr` stays what it is."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    sys.stderr.flush()
    kept = os.dup(STDERR)
    try:
        with (
            Path(os.devnull).open("w") as nowhere,
            os.fdopen(os.dup(STDERR), "w", buffering=1) as ours,
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(ours),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            os.dup2(nowhere.fileno(), STDERR)
            yield
    finally:
        os.dup2(kept, STDERR)
        os.close(kept)
        logging.disable(disabled)
