"""The part of a report about the generator machines of `--workers`."""

from collections.abc import Sequence
from typing import Any

from loadtest.analysis.machines import Machine
from loadtest.reports.table import Table

COLUMNS = (
    "",
    "host",
    "CPUs",
    "processes",
    "sent",
    "late",
    "busiest loop",
    "blocked, ms",
    "start, ± ms",
    "drift in the run, ms",
)


def machines_table(machines: Sequence[Machine]) -> Table:
    """Returns each generator machine: its processes, and how its clock agrees with the coordinator's."""
    rows = [
        (
            machine.address,
            str(machine.environment["host"]),
            str(machine.environment["cpus_allowed"]),
            f"{machine.generator.processes}",
            f"{machine.sent:,}",
            f"{machine.generator.late:,}",
            f"{machine.generator.busiest_share:.0%} of a core",
            f"{machine.generator.longest_lag_seconds * 1e3:.1f}",
            f"{machine.clock_bound_seconds * 1e3:.2f}",
            "-"
            if machine.drift_seconds is None
            else f"{machine.drift_seconds * 1e3:+.2f} ± {machine.drift_bound_seconds * 1e3:.2f}",
        )
        for machine in machines
    ]
    return Table("Generator machines", COLUMNS, rows)


def machine_notes(machines: Sequence[Machine]) -> list[str]:
    """Returns warnings about clocks that did not agree, and about machines that differ."""
    lines = [
        f"CLOCKS: the requests of worker {machine.address} may have been up to {machine.apart_seconds * 1e3:,.1f} ms "
        f"away from the common schedule, more than {machine.late_seconds * 1e3:g} ms. No latency contains that."
        for machine in machines
        if machine.is_apart
    ]
    for what, values in _differing(machines).items():
        lines.append(f"The generator machines differ in {what}: {', '.join(values)}.")
    return lines


def machine_object(machine: Machine) -> dict[str, Any]:
    """Returns the machine for the JSON report."""
    return {
        "address": machine.address,
        "host": machine.environment["host"],
        "sent": machine.sent,
        "late": machine.generator.late,
        "processes": machine.generator.processes,
        "busiest_share": machine.generator.busiest_share,
        "waited_share": machine.generator.waited_share,
        "longest_lag_seconds": machine.generator.longest_lag_seconds,
        "memory_bytes": machine.generator.memory_bytes,
        "clock_bound_seconds": machine.clock_bound_seconds,
        "clock_drift_seconds": machine.drift_seconds,
        "clocks_agree": not machine.is_apart,
    }


def _differing(machines: Sequence[Machine]) -> dict[str, list[str]]:
    """Returns the values of CPU, Python and libraries that are not the same on all machines."""
    values: dict[str, set[str]] = {}
    for machine in machines:
        environment = machine.environment
        for name, value in {
            "CPU": environment["cpu"],
            "Python": environment["python"],
            **environment["versions"],
        }.items():
            values.setdefault(name, set()).add(str(value))
    return {name: sorted(each) for name, each in values.items() if len(each) > 1}
