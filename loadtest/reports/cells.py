"""The cells of tables: figures with their units, as text."""

import math

from loadtest.analysis.latency import Latencies

PERCENTS = (50.0, 90.0, 95.0, 99.0, 99.9)
LATENCY_COLUMNS = ("count", "mean", "min", "p50", "p90", "p95", "p99", "p99.9", "max")


def latency_cells(latencies: Latencies) -> tuple[str, ...]:
    """Returns a distribution's cells of `LATENCY_COLUMNS`, in milliseconds."""
    values = [latencies.mean, *(latencies.percentile(percent) for percent in (0, *PERCENTS, 100))]
    return (f"{latencies.count:,}", *(milliseconds(value) for value in values))


def milliseconds(seconds: float) -> str:
    """Returns a duration in milliseconds, to three digits or the millisecond."""
    if math.isnan(seconds):
        return "-"
    value = seconds * 1e3
    return f"{value:,.{0 if value >= 99.95 else 1 if value >= 9.995 else 2 if value >= 0.9995 else 3}f}"


def with_unit(seconds: float) -> str:
    """Returns a duration that a person chose, as exactly as it was given: `10 s` or `2.5 ms`."""
    return f"{seconds:,.6g} s" if seconds >= 1 else f"{seconds * 1e3:.6g} ms"


def per_second(rate: float) -> str:
    """Returns a rate with its unit."""
    return f"{rate:,.1f}/s" if rate < 1000 else f"{rate:,.0f}/s"


def outcome_name(code: str) -> str:
    """Returns the name of an outcome for people."""
    return f"refused ({code})" if code == "RESOURCE_EXHAUSTED" else code


def percent(part: int, whole: int) -> str:
    """Returns a share; `-` of nothing."""
    return f"{part / whole:.2%}" if whole else "-"


def count_of(count: int, total: int) -> str:
    """Returns a count, and its share of a total if it is not 0."""
    return f"{count:,} ({count / total:.2%})" if count and total else f"{count:,}"
