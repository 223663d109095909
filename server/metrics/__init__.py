"""The server's Prometheus metrics, by what they measure. All series exist before the first request.

Each module declares the metrics of one subject; `Metrics` holds them. They are observed where the work is done.
"""

from server.metrics.calls import CODES, Method, MethodMetrics
from server.metrics.metrics import Metrics
from server.metrics.refusals import REFUSALS, Refusal

__all__ = ["CODES", "REFUSALS", "Method", "MethodMetrics", "Metrics", "Refusal"]
