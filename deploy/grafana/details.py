"""The details: every metric of the server, by subject."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.frame import framed
from deploy.grafana.rows import backups, batching, catalogue, feedback, process, quality, requests, saturation, stages


def details() -> Dashboard:
    """Returns the dashboard."""
    return framed(
        "Chaja: details",
        uid="chaja-details",
        text="Every metric of the servers, by subject. The overview says where to look.",
        rows=[
            *requests.details(),
            stages.details(),
            saturation.details(),
            *batching.details(),
            *catalogue.details(),
            backups.details(),
            feedback.details(),
            quality.details(),
            *process.details(),
        ],
    )
