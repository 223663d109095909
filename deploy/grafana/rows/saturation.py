"""Saturation: do calls wait, for the workers or for the event loop?"""

from deploy.grafana.frame import Row
from deploy.grafana.panels import Panel, graph
from deploy.grafana.queries import Query, quantile, rate, series
from deploy.grafana.rows.requests import OBJECTIVE, refusals

PER_SERVER = "job, instance"


def summary() -> Row:
    """Returns the row of the overview."""
    return Row("Are the servers full?", [_predicted_wait(), _busy(), _event_loop(), refusals()])


def details() -> Row:
    """Returns the row of the details."""
    return Row(
        "Saturation",
        [_predicted_wait(), _queue(), _dropped(), _busy(), _busy_by_worker(), _alive(), _event_loop(), _encode_cpu()],
    )


def _predicted_wait() -> Panel:
    return graph(
        "Predicted wait",
        [Query(series("chaja_predicted_wait_seconds"), "{{instance}}"), OBJECTIVE],
        unit="s",
        text="Queue wait that the server predicts for a search that arrives now. Above 65 % of --longest-wait-seconds "
        "it refuses searches. If it stays above 0.1 s, add servers; docs/sizing.md says how many.",
        alerts=["ChajaSaturated"],
        width=6,
    )


def _queue() -> Panel:
    return graph(
        "Texts in the queue",
        [Query(series("chaja_queue_texts"), "{{instance}}")],
        unit="none",
        text="Texts that wait for a worker. Writes and calls of Encode wait there too; searches are served first.",
        alerts=["ChajaSaturated"],
        width=6,
    )


def _dropped() -> Panel:
    return graph(
        "Dropped texts",
        [Query(rate("chaja_dropped_texts_total", by="instance"), "{{instance}}")],
        unit="cps",
        text="Texts dropped from the queue, per second: their caller had gone, their deadline had passed, or they had "
        "waited too long. Callers with short deadlines see errors: add servers, or allow longer deadlines.",
        alerts=["ChajaSaturated"],
        width=6,
    )


def _busy() -> Panel:
    busy = rate("chaja_worker_busy_seconds_total", by=PER_SERVER)
    return graph(
        "Busy share of the workers",
        [Query(f"{busy} / (sum by ({PER_SERVER}) ({series('chaja_workers')}) > 0)", "{{instance}}")],
        unit="percentunit",
        text="Share of their time in which the workers encode or search. Above 80 % waits grow quickly: add servers. "
        "If one server is far above the others, balance the clients (docs/clients.md).",
        alerts=["ChajaSaturated"],
        limits=[(0.8, "orange")],
        highest=1,
        width=6,
    )


def _busy_by_worker() -> Panel:
    return graph(
        "Busy share by worker",
        [Query(rate("chaja_worker_busy_seconds_total", by="instance, worker"), "{{instance}} {{worker}}")],
        unit="percentunit",
        text="A worker at 100 % that finishes nothing hangs; a worker at 0 % beside busy ones is dead.",
        alerts=["ChajaWorkerDead"],
        highest=1,
        width=6,
    )


def _alive() -> Panel:
    return graph(
        "Workers alive",
        [
            Query(series("chaja_workers_alive"), "{{instance}}"),
            Query(f"max({series('chaja_workers')})", "configured", limit=True),
        ],
        unit="none",
        text="A server with a dead worker reports NOT_SERVING: restart it, and report the traceback in its log. While "
        "a server loads, no worker lives.",
        alerts=["ChajaWorkerDead"],
        width=6,
    )


def _event_loop() -> Panel:
    return graph(
        "Delay of the event loop, p99",
        [Query(quantile(0.99, "chaja_event_loop_lag_seconds", by="instance"), "{{instance}}")],
        unit="s",
        text="Delay of a timer on the event loop, through which every call passes. Above 0.1 s: another process takes "
        "the CPU, the container's CPU limit is too low, or clients send very large messages.",
        alerts=["ChajaEventLoopLag"],
        limits=[(0.1, "red")],
        width=6,
    )


def _encode_cpu() -> Panel:
    return graph(
        "CPU of the encoder",
        [Query(rate("chaja_encode_cpu_seconds_total", by="instance"), "{{instance}}")],
        unit="none",
        text="Cores that encoding uses. Far below the busy share of the workers: they wait for the CPU.",
        width=6,
    )
