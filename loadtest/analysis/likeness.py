"""Finds differences between the plans of runs: only runs of one plan should be compared or added up."""

from collections.abc import Sequence

from loadtest.results.file import Run

FREE = ("target", "metrics_url", "seed", "unique_from")
"""Parts that may differ: users compare two servers, or one server under different seeds."""


def differences(runs: Sequence[Run]) -> list[str]:
    """Returns the names of the plan's parts, and of the hardware, in which runs differ."""
    names = [name for name in runs[0].header["plan"] if name not in FREE] if runs else []
    unlike = [name for name in names if any(run.header["plan"][name] != runs[0].header["plan"][name] for run in runs)]
    machines = {_hardware(run) for run in runs}
    return [name.replace("_", " ") for name in unlike] + (["CPU"] if len(machines) > 1 else [])


def _hardware(run: Run) -> tuple[tuple[str, str], ...]:
    """Returns the name and the number of CPUs of each machine that sent the load."""
    machines = [worker["environment"] for worker in run.header.get("workers", ())] or [run.header["environment"]]
    return tuple(sorted((str(each.get("cpu")), str(each.get("cpus_allowed"))) for each in machines))
