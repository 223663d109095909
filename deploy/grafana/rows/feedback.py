"""Feedback, and what the servers learn from it."""

from deploy.grafana.frame import Row
from deploy.grafana.panels import Panel, graph, value
from deploy.grafana.queries import Query, age, increase, rate, series


def details() -> Row:
    """Returns the row of the details."""
    return Row("Feedback and learning", [_events(), _runs(), _recall(), _promotions()])


def _events() -> Panel:
    return graph(
        "Events of feedback",
        [Query(rate("chaja_feedback_events_total", by="result"), "{{result}}")],
        unit="cps",
        text="Events per second. Many refused ones: callers send documents that do not exist, or one user key sends "
        "too many.",
        width=6,
    )


def _runs() -> Panel:
    return value(
        "Runs of learning",
        [Query(increase("chaja_learn_runs_total", by="result"), "{{result}}")],
        unit="none",
        text="In the dashboard's time range. Refused: R@1 of held-out queries would have fallen. Failed: the log has "
        "the reason.",
        alerts=["ChajaLearnFailed"],
        decimals=0,
        width=6,
        tall=True,
    )


def _recall() -> Panel:
    return graph(
        "R@1 of the last run",
        [Query(series("chaja_learn_recall"), "{{instance}} {{mode}} {{when}}")],
        unit="percentunit",
        text="R@1 of confirmed queries that were held out, before and after what the run would add; 0 without a run. "
        "docs/feedback.md describes the measurement.",
        width=6,
    )


def _promotions() -> Panel:
    return graph(
        "Learnt example queries",
        [
            Query(series("chaja_promotions"), "{{instance}} in force"),
            Query(series("chaja_learn_questions"), "{{instance}} measured"),
            Query(f"({age('chaja_learn_timestamp_seconds')}) / 3600", "{{instance}} hours since the last run"),
        ],
        unit="short",
        text="Example queries in force that were learnt from feedback, confirmed queries that the last run has "
        "measured, and its age.",
        width=6,
    )
