"""The overview, for the person who is woken: from top to bottom, what is wrong, and where to look."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.frame import Row, framed
from deploy.grafana.rows import backups, catalogue, process, quality, requests, saturation, stages
from deploy.grafana.rows.objective import objective


def overview() -> Dashboard:
    """Returns the dashboard."""
    values = [*catalogue.values(), backups.newest(), *quality.values(), *process.values()]
    return framed(
        "Chaja: overview",
        uid="chaja-overview",
        text="Is search well? Read it from top to bottom: the objective, the requests, the stages, the load, the data. "
        "The text of each panel says what to do.",
        rows=[
            objective(),
            requests.summary(),
            stages.summary(),
            saturation.summary(),
            Row("Are the catalogue and its data safe?", values),
            Row("What is running?", [process.servers()]),
        ],
    )
