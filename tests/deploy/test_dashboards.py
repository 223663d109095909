import itertools
import re
from collections import Counter

import pytest
import yaml

import chaja
from chaja.v1 import Document, LearnRequest, LocalizedText, ReloadRequest, Upsert, UpsertDocumentsRequest
from deploy.grafana.__main__ import files
from deploy.grafana.rows.objective import ERRORS_ALLOWED, FACTORS, SLOW_ALLOWED
from tests.deploy.dashboards import DASHBOARDS, EVERY_PANEL, FOLDER, PANELS, PanelFile, filled, metrics_of
from tests.deploy.monitored import Monitored
from tests.deploy.prometheus import CONFIGURATION
from tests.deploy.rules import ALERTS, RECORDING
from tools.doc_tables import documented_metrics

BY_SERIES_SUFFIX = re.compile(r"_(bucket|count|sum)$")
OTHERS = {
    "ALERTS",
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "python_gc_collections_total",
    "up",
}
"""Series of Prometheus and of its client library."""

every_panel = pytest.mark.parametrize("panel", PANELS, ids=lambda panel: f"{panel.uid}: {panel.title}")


def test_the_committed_files_are_those_that_the_code_writes() -> None:
    committed = {path: path.read_text(encoding="utf-8") for path in FOLDER.glob("dashboards/*")}
    assert committed == files(), "make dashboards"


def test_dashboards_can_be_provisioned() -> None:
    for uid, dashboard in DASHBOARDS.items():
        assert dashboard["uid"] == uid
        assert dashboard["schemaVersion"] >= 36
        assert not {"id", "version"} & dashboard.keys(), "Grafana assigns them"
        assert dashboard["refresh"] == "30s"
        assert [variable["name"] for variable in dashboard["templating"]["list"]] == [
            "datasource", "job", "instance", "runbook",
        ]  # fmt: skip
        assert len({variable["id"] for variable in dashboard["templating"]["list"]}) == 4
    for uid, panels in itertools.groupby(EVERY_PANEL, key=lambda panel: panel.uid):
        assert [panel.fields["id"] for panel in panels] == list(range(1, len(DASHBOARDS[uid]["panels"]) + 1))


def test_panels_fill_the_width_of_the_grid_without_overlap() -> None:
    taken = Counter(
        (panel.uid, x, y)
        for panel in EVERY_PANEL
        for x in range(panel.box[0], panel.box[2])
        for y in range(panel.box[1], panel.box[3])
    )
    assert set(taken.values()) == {1}
    assert {x for _, x, _ in taken} == set(range(24))
    for uid in DASHBOARDS:
        lines = {y for board, _, y in taken if board == uid}
        assert lines == set(range(len(lines))), "no empty lines"


@every_panel
def test_each_panel_has_a_unit_and_says_what_to_do(panel: PanelFile) -> None:
    assert panel.fields["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert panel.fields["fieldConfig"]["defaults"]["unit"]
    assert len(panel.fields["description"]) > 60
    references = [query["refId"] for query in panel.fields["targets"]]
    assert references == list("ABCDEFGH"[: len(references)])


@every_panel
def test_each_panel_reads_metrics_that_exist(panel: PanelFile) -> None:
    known = OTHERS | {rule.name for rule in RECORDING} | {name for name, *_ in documented_metrics()}
    for expression, _ in panel.queries:
        for name in metrics_of(expression):
            assert name in known or BY_SERIES_SUFFIX.sub("", name) in known, name


@every_panel
def test_each_query_selects_by_the_variables(panel: PanelFile) -> None:
    for expression, _ in panel.queries:
        for name, matchers in re.findall(r"([a-zA-Z_][\w:]*)\{([^}]*)\}", expression):
            for_job = name == "ALERTS" or ":" in name
            assert 'job=~"$job"' in matchers
            assert for_job or 'instance=~"$instance"' in matchers
        assert not re.search(r"\[\d+[smh]\]", expression), "ranges are variables, except the objective's 30 days"


def test_every_metric_of_the_server_is_in_a_panel() -> None:
    shown = {
        BY_SERIES_SUFFIX.sub("", name) for panel in PANELS for each, _ in panel.queries for name in metrics_of(each)
    }
    assert {name for name, *_ in documented_metrics()} <= shown


def test_panels_and_alerts_have_the_same_objective() -> None:
    burns = [rule.expression for rule in ALERTS if rule.name.endswith("BudgetBurn")]
    products = {match for each in burns for match in re.findall(r"> (?:([\d.]+) \* )?(0\.\d+)", each)}
    factors = {float(factor or 1) for factor, _ in products}
    assert {limit for limit, _ in FACTORS} <= factors
    assert {float(allowed) for _, allowed in products} == {ERRORS_ALLOWED, SLOW_ALLOWED}


def test_each_alert_has_a_panel_that_links_to_its_section_of_the_runbook() -> None:
    linked = {url for panel in PANELS for url in panel.links}
    assert linked == {f"${{runbook}}#{alert.name.lower()}" for alert in ALERTS}


def test_dashboards_link_to_each_other() -> None:
    for dashboard in DASHBOARDS.values():
        others, runbook = dashboard["links"]
        assert others["type"] == "dashboards"
        assert others["tags"] == dashboard["tags"] == ["chaja"]
        assert others["includeVars"]
        assert others["keepTime"]
        assert runbook["url"] == "${runbook}"


def test_grafana_is_provisioned_with_the_interval_of_the_scrapes() -> None:
    (source,) = yaml.safe_load((FOLDER / "provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    scrapes = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == scrapes
    assert source["type"] == "prometheus"
    (provider,) = yaml.safe_load((FOLDER / "provisioning/dashboards/chaja.yaml").read_text())["providers"]
    assert provider["type"] == "file"


@pytest.fixture(scope="module")
def rebuilt(monitored: Monitored) -> Monitored:
    """The watched server, after a run of learning and a rebuild of its index: replaced documents leave dead vectors."""
    with chaja.connect(monitored.server.address, credentials=monitored.credentials) as client:
        for version in range(6):
            documents = [Document(id=f"{n}", titles=[LocalizedText(text=f"{version} {n}")]) for n in range(250)]
            upserts = [Upsert(document=document) for document in documents]
            client.catalog.UpsertDocuments(UpsertDocumentsRequest(upserts=upserts), timeout=120)
        client.feedback.Learn(LearnRequest(), timeout=120)
    monitored.prometheus.wait_for("sum(chaja_index_rebuilds_total) > 0", seconds=120)
    return monitored


@every_panel
def test_each_query_of_each_panel_gives_data_of_a_real_server(panel: PanelFile, rebuilt: Monitored) -> None:
    assert panel.queries
    for expression, legend in panel.queries:
        series = rebuilt.prometheus.wait_for(f"({filled(expression)}) < Inf", seconds=60)  # NaN is not below Inf.
        for label in re.findall(r"{{(\w+)}}", legend):
            assert all(each.labels[label] for each in series)
        if panel.fields["type"] == "stat" and "{{" not in legend:
            assert len(series) == 1


@every_panel
def test_the_columns_of_tables_are_labels(panel: PanelFile, rebuilt: Monitored) -> None:
    if panel.fields["type"] != "table":
        return
    (expression, _), *_ = panel.queries
    columns = panel.fields["transformations"][0]["options"]["include"]["names"]
    rows = rebuilt.prometheus.wait_for(filled(expression))
    assert set(columns) - {"Value"} <= {label for row in rows for label in row.labels}


def test_an_alert_that_fires_is_counted_and_listed(monitored: Monitored) -> None:
    count, listed = (
        next(panel for panel in PANELS if panel.title.startswith("Alerts") and panel.fields["type"] == kind)
        for kind in ("stat", "table")
    )
    tickets = next(expression for expression, legend in count.queries if legend == "ticket")
    monitored.prometheus.wait_for(f"({filled(tickets)}) > 0")  # The server's certificate is valid for two days.
    ((alerts, _),) = listed.queries
    assert "ChajaCertificateExpires" in {
        each.labels["alertname"] for each in monitored.prometheus.query(filled(alerts))
    }


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_variables_and_annotations_give_data_of_a_real_server(uid: str, monitored: Monitored) -> None:
    for variable in DASHBOARDS[uid]["templating"]["list"]:
        if variable["type"] == "query":
            query, label = re.findall(r"label_values\((.+), (\w+)\)", variable["query"])[0]
            assert all(each.labels[label] for each in monitored.prometheus.wait_for(filled(query)))
    with chaja.connect(monitored.server.address, credentials=monitored.credentials) as client:
        client.admin.Reload(ReloadRequest(), timeout=120)
    for annotation in DASHBOARDS[uid]["annotations"]["list"]:
        (mark,) = monitored.prometheus.wait_for(filled(annotation["expr"]))
        for label in re.findall(r"{{(\w+)}}", annotation["textFormat"]):
            assert mark.labels[label]
        assert not annotation["useValueForTime"] or mark.value > 1e12, "milliseconds since 1970"
