"""Writes the dashboards: `make dashboards`. A test fails while the committed files are out of date."""

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.details import details
from deploy.grafana.overview import overview

FOLDER = Path(__file__).parent / "dashboards"


def files() -> dict[Path, str]:
    """Returns the content of each file."""
    return {FOLDER / f"{each.uid}.json": _text(each) for each in (overview(), details())}


def _text(dashboard: Dashboard) -> str:
    return json.dumps(dashboard, cls=JSONEncoder, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
