"""Panels in the style of our dashboards.

Each has a unit and a text, which Grafana shows beside the title: what the panel shows and what to do about it. `alerts`
are the names of alerts that concern it; each becomes a link to its section of the runbook.
"""

import string
from collections.abc import Mapping, Sequence
from typing import TypeVar

from grafana_foundation_sdk.builders import common, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import DashboardLink, FieldColor, ThresholdsConfig
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    GraphTresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from deploy.grafana.queries import Query

Panel = Builder[models.Panel]
Styled = TypeVar("Styled", timeseries.Panel, stat.Panel, table.Panel)

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
RUNBOOK = "${runbook}"
GRAPH_HEIGHT, VALUE_HEIGHT = 8, 4
NEUTRAL: tuple[tuple[float | None, str], ...] = ((None, "text"),)
"""The steps of a value that is neither good nor bad."""

LIMIT_STYLE: Mapping[str, object] = {
    "color": {"mode": "fixed", "fixedColor": "red"},
    "custom.lineStyle": {"fill": "dash", "dash": [8, 8]},
    "custom.fillOpacity": 0,
    "custom.stacking": {"mode": "none"},
}


def graph(
    title: str,
    queries: Sequence[Query],
    *,
    unit: str,
    text: str,
    alerts: Sequence[str] = (),
    limits: Sequence[tuple[float, str]] = (),
    highest: float | None = None,
    stacked: bool = False,
    colors: Mapping[str, str] | None = None,
    no_value: str = "",
    width: int = 8,
) -> timeseries.Panel:
    """Returns a graph over time.

    Args:
        title: Its title.
        queries: Its queries; each becomes a line for each of its series.
        unit: Grafana's name of the values' unit.
        text: Its description.
        alerts: Alerts that concern it.
        limits: Value and color of dashed lines.
        highest: The end of the axis, instead of the highest value.
        stacked: Whether the series are added up.
        colors: Colors of series, by their names.
        no_value: Shown if there are no data.
        width: In columns of 24.
    """
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    panel = (
        _styled(timeseries.Panel(), title, unit=unit, text=text, alerts=alerts, size=(width, GRAPH_HEIGHT))
        .min(0)
        .legend(legend.show_legend(True).calcs([]))
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
        .color_scheme(FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
        .show_points(VisibilityMode.AUTO)
        .line_width(1)
        .fill_opacity(60 if stacked else 5)
    )
    if stacked:
        panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL).group("A"))
    if limits:
        panel.thresholds(_thresholds([(None, "transparent"), *limits]))
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphTresholdsStyleMode.DASHED))
    if highest is not None:
        panel.max(highest)
    if no_value:
        panel.no_value(no_value)
    for name, color in (colors or {}).items():
        panel.override_by_name(name, _properties({"color": {"mode": "fixed", "fixedColor": color}}))
    for ref_id, query in zip(string.ascii_uppercase, queries, strict=False):
        panel.with_target(_target(query, ref_id).range().exemplar(query.exemplars))
        if query.limit:
            panel.override_by_query(ref_id, _properties(LIMIT_STYLE))
    return panel


def value(
    title: str,
    queries: Sequence[Query],
    *,
    unit: str,
    text: str,
    alerts: Sequence[str] = (),
    steps: Sequence[tuple[float | None, str]] = NEUTRAL,
    names: Mapping[str, str] | None = None,
    decimals: int | None = None,
    no_value: str = "none",
    width: int = 3,
    tall: bool = False,
) -> stat.Panel:
    """Returns the newest value of each query, on a color.

    Args:
        title: Its title.
        queries: Its queries, with one series each.
        unit: Grafana's name of the values' unit.
        text: Its description.
        alerts: Alerts that concern it.
        steps: Colors, and the values from which they hold; None is the lowest value.
        names: Texts shown instead of values.
        decimals: Digits after the point, instead of a suitable number.
        no_value: Shown if there is no series.
        width: In columns of 24.
        tall: Whether it is as high as a graph.
    """
    size = (width, GRAPH_HEIGHT if tall else VALUE_HEIGHT)
    panel = (
        _styled(stat.Panel(), title, unit=unit, text=text, alerts=alerts, size=size)
        .thresholds(_thresholds(steps))
        .color_scheme(FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
        .color_mode(BigValueColorMode.NONE if steps is NEUTRAL else BigValueColorMode.BACKGROUND)
        .graph_mode(BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().values(False).calcs(["lastNotNull"]))
        .no_value(no_value)
    )
    if decimals is not None:
        panel.decimals(decimals)
    if names:
        results = {each: models.ValueMappingResult(text=name) for each, name in names.items()}
        panel.mappings([models.ValueMap(options=results)])
    for ref_id, query in zip(string.ascii_uppercase, queries, strict=False):
        panel.with_target(_target(query, ref_id).instant())
    return panel


def list_of(
    title: str,
    query: Query,
    *,
    columns: Mapping[str, str],
    unit: str,
    text: str,
    alerts: Sequence[str] = (),
    no_value: str = "none",
    linked: str = "",
    width: int = 24,
) -> table.Panel:
    """Returns a table with a row for each series now.

    Args:
        title: Its title.
        query: Its query.
        columns: Labels and their headings, in order; `Value` is the value. Other labels are left out.
        unit: Grafana's name of the values' unit.
        text: Its description.
        alerts: Alerts that concern it.
        no_value: Shown if there is no series.
        linked: Heading of a column whose values are names of sections of the runbook.
        width: In columns of 24.
    """
    chosen = {"include": {"names": list(columns)}}
    arranged = {"indexByName": {label: number for number, label in enumerate(columns)}, "renameByName": dict(columns)}
    panel = (
        _styled(table.Panel(), title, unit=unit, text=text, alerts=alerts, size=(width, GRAPH_HEIGHT))
        .with_target(_target(query, "A").instant().format(PromQueryFormat.TABLE))
        .with_transformation(models.DataTransformerConfig(id_val="filterFieldsByName", options=chosen))
        .with_transformation(models.DataTransformerConfig(id_val="organize", options=arranged))
        .no_value(no_value)
    )
    if linked:
        link = {"title": "Runbook", "url": f"{RUNBOOK}#${{__value.text}}", "targetBlank": True}
        panel.override_by_name(linked, _properties({"links": [link]}))
    return panel


def _styled(panel: Styled, title: str, *, unit: str, text: str, alerts: Sequence[str], size: tuple[int, int]) -> Styled:
    width, height = size
    links: list[Builder[models.DashboardLink]] = [
        DashboardLink(f"Runbook: {alert}").url(f"{RUNBOOK}#{alert.lower()}").target_blank(True) for alert in alerts
    ]
    panel.title(title).description(text).unit(unit).datasource(SOURCE).span(width).height(height)
    return panel.links(links) if links else panel


def _target(query: Query, ref_id: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(query.expression).legend_format(query.legend).ref_id(ref_id).datasource(SOURCE)


def _thresholds(steps: Sequence[tuple[float | None, str]]) -> ThresholdsConfig:
    return ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps([models.Threshold(*step) for step in steps])


def _properties(values: Mapping[str, object]) -> list[models.DynamicConfigValue]:
    return [models.DynamicConfigValue(name, value) for name, value in values.items()]
