"""Counts work that ends well or fails, and records its duration."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from server.metrics.buckets import LONG_SECONDS


class Outcomes:
    """A counter with the label `result` (ok, failed), and a histogram of seconds."""

    def __init__(self, registry: CollectorRegistry, *, counter: tuple[str, str], seconds: tuple[str, str]) -> None:
        """Takes the name and the help of both."""
        results = Counter(*counter, ["result"], registry=registry)
        self._results = {failed: results.labels("failed" if failed else "ok") for failed in (False, True)}
        self._seconds = Histogram(*seconds, buckets=LONG_SECONDS, registry=registry)

    def count(self, *, failed: bool, seconds: float) -> None:
        """Counts one, and records its duration."""
        self._results[failed].inc()
        self._seconds.observe(seconds)
