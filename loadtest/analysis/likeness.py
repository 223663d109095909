"""Finds differences between the plans of runs: only runs of one plan should be compared or added up."""

from collections.abc import Sequence

from loadtest.results.file import Run

FREE = ("target", "metrics_url", "seed", "unique_from")
"""Parts that may differ: users compare two servers, or one server under different seeds."""


def differences(runs: Sequence[Run]) -> list[str]:
    """Returns the names of the plan's parts, and of the hardware, in which runs differ."""
    names = [name for name in runs[0].header["plan"] if name not in FREE] if runs else []
    unlike = [name for name in names if any(run.header["plan"][name] != runs[0].header["plan"][name] for run in runs)]
    machines = {(run.header["environment"].get("cpu"), run.header["environment"].get("cpus_allowed")) for run in runs}
    return [name.replace("_", " ") for name in unlike] + (["CPU"] if len(machines) > 1 else [])
