"""Is the objective kept? These panels show what the alerts on error budgets compute, from recorded series."""

from deploy.grafana.frame import Row
from deploy.grafana.panels import Panel, graph, list_of, value
from deploy.grafana.queries import Query, recorded, series

ERRORS_ALLOWED, SLOW_ALLOWED = 0.001, 0.01
"""The objective of deploy/prometheus/alerts.yml: shares of requests that may fail, and of searches that may be slow."""

FACTORS = [(1.0, "yellow"), (6.0, "orange"), (14.4, "red")]
WINDOWS = {"1h": "1 hour", "6h": "6 hours", "1d": "1 day", "3d": "3 days"}


def objective() -> Row:
    """Returns the row."""
    return Row("Is the objective kept?", [*_values(), _alerts(), _error_burn(), _latency_burn()])


def _values() -> list[Panel]:
    firing = 'ALERTS{alertname=~"Chaja.+",alertstate="firing",job=~"$job",severity="%s"}'
    return [
        value(
            "Servers up",
            [Query(f"avg({series('up')})", "")],
            unit="percentunit",
            text="Share of the servers that answer Prometheus. Below 100 %: read the log of the one that is down. The "
            "table at the end lists those that serve.",
            alerts=["ChajaDown", "ChajaRestarts"],
            steps=[(None, "red"), (1, "green")],
            width=4,
        ),
        value(
            "Alerts",
            [Query(f"count({firing % severity}) or vector(0)", severity) for severity in ("page", "ticket")],
            unit="none",
            text="Alerts that fire now: pages need someone now, tickets within days. The list below names them.",
            steps=[(None, "green"), (1, "red")],
            width=4,
        ),
        value(
            "Error budget left",
            [Query(_budget_left("job:chaja_request_errors:rate5m", "job:chaja_requests:rate5m", ERRORS_ALLOWED), "")],
            unit="percentunit",
            text="Share that is left of the requests that may fail in 30 days: 0.1 %. It covers the time that "
            "Prometheus has data for. Near 0: stop risky changes, and look for the cause in the errors by reason.",
            alerts=["ChajaErrorBudgetBurn"],
            steps=[(None, "red"), (0, "orange"), (0.25, "green")],
            decimals=0,
            no_value="no requests",
            width=4,
        ),
        value(
            "Latency budget left",
            [Query(_budget_left("job:chaja_slow_searches:rate5m", "job:chaja_searches:rate5m", SLOW_ALLOWED), "")],
            unit="percentunit",
            text="Share that is left of the searches that may be slow in 30 days: 1 % may take longer than "
            "--latency-objective-seconds. Near 0: look for the stage that takes the time.",
            alerts=["ChajaLatencyBudgetBurn"],
            steps=[(None, "red"), (0, "orange"), (0.25, "green")],
            decimals=0,
            no_value="no searches",
            width=4,
        ),
        value(
            "Requests without error",
            [Query(f"1 - {recorded('job:chaja_request_errors:ratio_rate5m')}", "")],
            unit="percentunit",
            text="Share of the requests of the last 5 minutes that the service did not fail; errors of callers do not "
            "count. The objective is 99.9 %.",
            alerts=["ChajaErrorBudgetBurn"],
            steps=[(None, "red"), (1 - ERRORS_ALLOWED, "green")],
            decimals=2,
            no_value="no requests",
            width=4,
        ),
        value(
            "Searches in time",
            [Query(f"1 - {recorded('job:chaja_slow_searches:ratio_rate5m')}", "")],
            unit="percentunit",
            text="Share of the searches of the last 5 minutes within --latency-objective-seconds. The objective is "
            "99 %.",
            alerts=["ChajaLatencyBudgetBurn"],
            steps=[(None, "red"), (1 - SLOW_ALLOWED, "green")],
            decimals=2,
            no_value="no searches",
            width=4,
        ),
    ]


def _budget_left(bad: str, every: str, allowed: float) -> str:
    """Returns 1 for an unused budget, and a negative number for one that is used up."""
    used = f"sum_over_time({recorded(bad)}[30d]) / (sum_over_time({recorded(every)}[30d]) > 0)"
    return f"1 - {used} / {allowed}"


def _alerts() -> Panel:
    return list_of(
        "Alerts, and those that will fire soon",
        Query('ALERTS{alertname=~"Chaja.+",job=~"$job"}', ""),
        columns={"alertname": "alert", "severity": "severity", "alertstate": "state", "instance": "instance"},
        unit="none",
        text="An alert is pending until its condition has held for some time. A click on its name opens the "
        "runbook, which has a section for each alert. The list needs the rules in deploy/prometheus.",
        no_value="No alert",
        linked="alert",
        width=8,
    )


def _error_burn() -> Panel:
    return graph(
        "Burn rate of the error budget",
        [_burn("job:chaja_request_errors:ratio_rate", window, ERRORS_ALLOWED) for window in WINDOWS],
        unit="none",
        text="Speed at which errors use up the budget, by the window over which they are counted: at 1 it lasts 30 "
        "days, at 14.4 two days. Page: above 14.4 over 1 hour or 6 over 6 hours. Ticket: above 3 over 1 day or 1 over "
        "3 days. Look for the cause in the errors by reason.",
        alerts=["ChajaErrorBudgetBurn"],
        limits=FACTORS,
        no_value="no requests",
    )


def _latency_burn() -> Panel:
    return graph(
        "Burn rate of the latency budget",
        [_burn("job:chaja_slow_searches:ratio_rate", window, SLOW_ALLOWED) for window in WINDOWS],
        unit="none",
        text="Speed at which slow searches use up their budget, as in the panel beside it. Look for the stage that "
        "takes the time: if it is queue, the servers are overloaded.",
        alerts=["ChajaLatencyBudgetBurn"],
        limits=FACTORS,
        no_value="no searches",
    )


def _burn(ratio: str, window: str, allowed: float) -> Query:
    return Query(f"{recorded(ratio + window)} / {allowed}", WINDOWS[window])
