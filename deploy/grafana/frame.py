"""The frame of each dashboard: variables, links, annotations, and rows of panels."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from deploy.grafana.panels import RUNBOOK, SOURCE, Panel
from deploy.grafana.queries import series

TAG = "chaja"
RUNBOOK_ADDRESS = "deploy/runbook.md"


class Row(NamedTuple):
    """A row of panels under a title. Panels that do not fit beside each other continue below."""

    title: str
    panels: Sequence[Panel]


class PrometheusAnnotation(models.AnnotationQuery):
    """An annotation from a query. The SDK lacks the fields of Prometheus."""

    def __init__(self, name: str, expression: str, *, text: str, color: str, at_value: bool = False) -> None:
        """Marks each sample of the expression that is not 0; with `at_value` its value in milliseconds is the time."""
        super().__init__(name=name, datasource=SOURCE, enable=True, icon_color=color, expr=expression)
        self._more: dict[str, object] = {
            "titleFormat": name, "textFormat": text, "step": "15s", "useValueForTime": at_value,
        }  # fmt: skip

    def to_json(self) -> dict[str, object]:
        """Returns the fields of the JSON."""
        return super().to_json() | self._more


class Built(Builder[models.AnnotationQuery]):
    """A finished annotation, for the builder of a dashboard."""

    def __init__(self, annotation: models.AnnotationQuery) -> None:
        self._annotation = annotation

    def build(self) -> models.AnnotationQuery:
        """Returns the annotation."""
        return self._annotation


def framed(title: str, *, uid: str, text: str, rows: Sequence[Row]) -> models.Dashboard:
    """Returns a dashboard. Its panels have the numbers 1, 2, … as ids."""
    dashboard = (
        builders.Dashboard(title)
        .uid(uid)
        .description(text)
        .tags([TAG])
        .timezone("browser")
        .time("now-1h", "now")
        .refresh("30s")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .variables(_variables())
        .annotations([Built(each) for each in _annotations()])
        .links(_links())
    )
    for row in rows:
        dashboard.with_row(builders.Row(row.title))
        for panel in row.panels:
            dashboard.with_panel(panel)
    built = dashboard.build()
    for number, each in enumerate(built.panels or [], start=1):
        each.id_val = number
    return built


def _variables() -> list[Builder[models.VariableModel]]:
    """Returns the variables. They have their names as ids, because the SDK gives all of them one id."""
    everything = models.VariableOption(selected=True, text=["All"], value=["$__all"])
    job = _query_variable("job", "label_values(chaja_build_info, job)")
    instance = _query_variable("instance", 'label_values(up{job=~"$job"}, instance)')
    return [
        builders.DatasourceVariable("datasource").id("datasource").label("Data source").type("prometheus"),
        job.label("Job"),
        instance.label("Instance").multi(True).include_all(True).all_value(".*").current(everything),
        builders.ConstantVariable("runbook").id("runbook").value(RUNBOOK_ADDRESS),
    ]


def _query_variable(name: str, query: str) -> builders.QueryVariable:
    variable = builders.QueryVariable(name).id(name).query(query).datasource(SOURCE)
    return variable.refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(models.VariableSort.ALPHABETICAL_ASC)


def _annotations() -> list[PrometheusAnnotation]:
    reloads, starts = series("chaja_reloads_total"), series("process_start_time_seconds")
    return [
        PrometheusAnnotation("Reload", f"changes({reloads}[2m]) > 0", text="{{instance}}: {{result}}", color="blue"),
        PrometheusAnnotation("Start", f"{starts} * 1000", text="{{instance}}", color="orange", at_value=True),
    ]


def _links() -> list[Builder[models.DashboardLink]]:
    others: Any = builders.DashboardLink("Chaja").type(models.DashboardLinkType.DASHBOARDS).tags([TAG])
    runbook: Any = builders.DashboardLink("Runbook").type(models.DashboardLinkType.LINK).url(RUNBOOK)
    return [others.include_vars(True).keep_time(True), runbook.icon("doc").target_blank(True)]
