"""Metrics of a server that has answered calls, for tests of the figures."""

from server.http.pages.reading import Reading, Window
from server.metrics import Metrics
from server.metrics.calls import Method

SEARCH = Method("chaja.v1.SearchService", "Search", "unary")
ENCODE = Method("chaja.v1.EncodeService", "Encode", "unary")
SEARCH_PATH, ENCODE_PATH = (f"/{method.service}/{method.name}" for method in (SEARCH, ENCODE))

OK, INVALID_ARGUMENT, RESOURCE_EXHAUSTED, INTERNAL = 0, 3, 8, 13


def new_metrics() -> Metrics:
    return Metrics([SEARCH, ENCODE], reasons=["OVERLOADED"], workers=2, latency_objective_seconds=0.1)


def end_calls(metrics: Metrics, path: str, *, code: int, seconds: float, count: int = 1) -> None:
    """Counts calls that end with a code after the same time."""
    for _ in range(count):
        metrics.calls.of_method[path].end(code, seconds, reason="OVERLOADED" if code == RESOURCE_EXHAUSTED else None)


class Observed:
    """A window of ten seconds around what a test observes."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._first = Reading.of(metrics.registry)._replace(at=0.0)

    def window(self) -> Window:
        return Window(self._first, Reading.of(self._metrics.registry)._replace(at=10.0))
