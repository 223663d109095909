"""The dashboards of `deploy/grafana`, read from their files."""

import json
import re
from typing import Any, NamedTuple

from sample.server_process import REPOSITORY

FOLDER = REPOSITORY / "deploy/grafana"
VARIABLES = {"$job": "chaja", "$instance": ".*", "$__rate_interval": "1m", "$__range": "1h"}
"""Values that Grafana would put in place of its variables."""


class PanelFile(NamedTuple):
    """A panel, and the uid of its dashboard; `fields` are those of the JSON."""

    uid: str
    fields: dict[str, Any]

    @property
    def title(self) -> str:
        """The title."""
        return str(self.fields["title"])

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom, in cells of the grid."""
        place = self.fields["gridPos"]
        return place["x"], place["y"], place["x"] + place["w"], place["y"] + place["h"]

    @property
    def queries(self) -> list[tuple[str, str]]:
        """Expression and legend of each query."""
        return [(query["expr"], query["legendFormat"]) for query in self.fields.get("targets", [])]

    @property
    def links(self) -> list[str]:
        """Addresses of the links."""
        return [link["url"] for link in self.fields.get("links", [])]


def filled(expression: str) -> str:
    """Returns an expression with the values of the variables."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, expression
    return expression


def metrics_of(expression: str) -> set[str]:
    """Returns the names of the series that an expression reads."""
    return set(re.findall(r"([a-zA-Z_][\w:]*)\{", expression))


DASHBOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("dashboards/*.json"))
}
EVERY_PANEL = [PanelFile(uid, fields) for uid, board in DASHBOARDS.items() for fields in board["panels"]]
PANELS = [panel for panel in EVERY_PANEL if panel.fields["type"] != "row"]
