"""Where the time goes: the five stages of a text."""

from deploy.grafana.frame import Row
from deploy.grafana.panels import Panel, graph
from deploy.grafana.queries import Query, quantile, rate

STAGE_COLORS = {
    "tokenize": "purple", "queue": "red", "encode": "blue", "search": "green", "fetch": "orange",
}  # fmt: skip
"""The stages in their order, and their colors."""

ADVICE = (
    "queue: the workers are busy, add servers or cores. encode: texts are longer, or the CPU is slower or shared. "
    "search: the index has grown, or recall has raised ef_search. fetch: the disk of --data is slow. tokenize: the "
    "event loop is late."
)


def summary() -> Row:
    """Returns the row of the overview."""
    return Row("Where does the time go?", [_percentile(0.99, width=12), _stack(width=12)])


def details() -> Row:
    """Returns the row of the details."""
    panels = [_percentile(of, width=6) for of in (0.5, 0.95, 0.99)]
    return Row("Stages of a text", [*panels, _stack(width=6)])


def _percentile(of: float, *, width: int) -> Panel:
    return graph(
        f"Stages, p{of * 100:g}",
        [Query(quantile(of, "chaja_stage_seconds", by="stage"), "{{stage}}", exemplars=True)],
        unit="s",
        text=f"Time of a text in each stage. Percentiles of stages do not add up. {ADVICE}",
        alerts=["ChajaLatencyBudgetBurn", "ChajaSaturated"],
        colors=STAGE_COLORS,
        width=width,
    )


def _stack(*, width: int) -> Panel:
    return graph(
        "Stages, mean seconds of a text",
        [Query(_seconds_of_a_text(stage), stage) for stage in STAGE_COLORS],
        unit="s",
        text="Mean time of a text in each stage; the height is the mean of the whole. A cached query spends none in "
        f"encode. {ADVICE}",
        alerts=["ChajaLatencyBudgetBurn", "ChajaSaturated"],
        stacked=True,
        colors=STAGE_COLORS,
        width=width,
    )


def _seconds_of_a_text(stage: str) -> str:
    """Returns the mean over all texts, also those without this stage: every text passes the queue."""
    seconds = rate("chaja_stage_seconds_sum", f'stage="{stage}"')
    texts = rate("chaja_stage_seconds_count", 'stage="queue"')
    return f"{seconds} / ({texts} > 0)"
