"""The queue, the workers and their batches."""

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from server.metrics.buckets import BATCH_TEXTS, BATCH_TOKENS


class WorkerMetrics:
    """The metrics of the queue and the workers.

    Attributes:
        busy_seconds: A counter for each worker, by its number.
    """

    def __init__(self, registry: CollectorRegistry, *, workers: int) -> None:
        """Creates every series for a number of workers."""
        counter, gauge = partial(Counter, registry=registry), partial(Gauge, registry=registry)
        histogram = partial(Histogram, registry=registry)
        self.batch_texts = histogram("chaja_batch_texts", "Texts in an encoded batch.", buckets=BATCH_TEXTS)
        self.batch_tokens = histogram("chaja_batch_tokens", "Tokens in an encoded batch.", buckets=BATCH_TOKENS)
        self.encode_cpu_seconds = counter("chaja_encode_cpu_seconds_total", "CPU time that the encoder has used.")
        self.queue_texts = gauge("chaja_queue_texts", "Texts that wait for a worker.")
        self.predicted_wait_seconds = gauge(
            "chaja_predicted_wait_seconds",
            "Predicted queue wait of an interactive call that arrives now. Calls are rejected above 65 % of "
            "--longest-wait-seconds.",
        )
        self.dropped_texts = counter(
            "chaja_dropped_texts_total",
            "Texts dropped from the queue: their caller had cancelled, their deadline had passed, or they had waited "
            "longer than --longest-wait-seconds.",
        )
        gauge("chaja_workers", "Workers configured.").set(workers)
        self.alive = gauge(
            "chaja_workers_alive",
            "Workers whose thread lives. 0 until the model is loaded; a reload replaces dead ones.",
        )
        busy_seconds = counter(
            "chaja_worker_busy_seconds_total", "Time in which each worker encoded or searched.", ["worker"]
        )
        self.busy_seconds = [busy_seconds.labels(str(number)) for number in range(workers)]
