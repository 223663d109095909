"""The real server, whose metrics observe nothing: `python -m benchmarks.serving.unobserved_server`.

What it needs less than the real one is what the metrics cost.
"""

import sys

from prometheus_client import Counter, Gauge, Histogram

from server.__main__ import main
from server.metrics.caches import CacheMetrics
from server.metrics.calls import CallMetrics, MethodMetrics
from server.metrics.searches import SearchMetrics

MODULE = "benchmarks.serving.unobserved_server"

OBSERVATIONS: dict[type, tuple[str, ...]] = {
    Counter: ("inc",),
    Gauge: ("inc", "set"),
    Histogram: ("observe",),
    CacheMetrics: ("count_lookups",),
    CallMetrics: ("end_stream_query",),
    MethodMetrics: ("start", "answer", "end"),
    SearchMetrics: ("observe_stages", "answer"),
}
"""The methods that observe, by class: the library's, and ours that call them."""


def observe_nothing(*_: object, **__: object) -> None:
    """Replaces an observation."""


if __name__ == "__main__":
    for observed, names in OBSERVATIONS.items():
        for name in names:
            setattr(observed, name, observe_nothing)
    sys.exit(main())
