"""The title of runs: the method, the target and the time."""

from collections.abc import Sequence
from datetime import UTC, datetime

from loadtest.results.file import Run

MOST_NAMES = 3
"""More methods or targets are counted instead of named."""


def title_of(runs: Sequence[Run]) -> str:
    """Returns a title such as `chaja.v1.SearchService/Search on localhost:50051, 2026-11-30 20:54:40 UTC`."""
    times = sorted(datetime.fromtimestamp(run.header["started"], tz=UTC) for run in runs)
    until = f" to {times[-1]:%Y-%m-%d %H:%M:%S}" if len(times) > 1 and times[-1] != times[0] else ""
    return f"{subject_of(runs)}, {times[0]:%Y-%m-%d %H:%M:%S}{until} UTC" + (
        f", {len(runs)} runs" if len(runs) > 1 else ""
    )


def subject_of(runs: Sequence[Run]) -> str:
    """Returns the methods and the target of runs, which are the same in every repeat."""
    methods, targets = methods_of(runs), targets_of(runs)
    return f"{methods} on {targets}" if targets else methods


def methods_of(runs: Sequence[Run]) -> str:
    """Returns the methods that runs call."""
    return _listed([str(call["method"]) for run in runs for call in run.header["plan"]["calls"]])


def targets_of(runs: Sequence[Run]) -> str:
    """Returns the addresses of the servers of runs."""
    return _listed([str(run.header["plan"]["target"]["address"]) for run in runs if "target" in run.header["plan"]])


def _listed(names: Sequence[str]) -> str:
    """Returns different names in their order, the first few in full."""
    unique = list(dict.fromkeys(names))
    more = len(unique) - MOST_NAMES
    return ", ".join(unique[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
