"""In what the plans of runs differ: what is put side by side, or added up, should be alike."""

from collections.abc import Sequence

from loadtest.results.file import Run

FREE = ("target", "metrics_url", "seed")
"""What may differ: two servers are compared, or one with itself under other draws."""


def differences(runs: Sequence[Run]) -> list[str]:
    """Returns the names of what differs between the plans of runs, or between their machines."""
    names = [name for name in runs[0].header["plan"] if name not in FREE] if runs else []
    unlike = [name for name in names if any(run.header["plan"][name] != runs[0].header["plan"][name] for run in runs)]
    machines = {(run.header["environment"].get("cpu"), run.header["environment"].get("cpus_allowed")) for run in runs}
    return [name.replace("_", " ") for name in unlike] + (["CPU"] if len(machines) > 1 else [])
