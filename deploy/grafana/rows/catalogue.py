"""The catalogue: its documents, its index and recall, its writes and its snapshots."""

from deploy.grafana.frame import Row
from deploy.grafana.panels import Panel, graph, value
from deploy.grafana.queries import Query, age, increase, quantile_since_start, quantiles, rate, series

FULL_BYTES = 256 * 1024 * 1024
"""Free bytes of --data below which ChajaDiskFull fires."""


def details() -> list[Row]:
    """Returns the rows of the details."""
    return [
        Row("Catalogue and recall", [_documents(), _vectors(), _recall(), _ef_search()]),
        Row("Changes", [_changes(), _commits(), _sequence(), _change_lag()]),
        Row("Index and disk", [_builds(), _build_seconds(), _snapshot_age(), _free_bytes()]),
    ]


def values() -> list[Panel]:
    """Returns the values of the overview."""
    return [
        value(
            "Documents",
            [Query(f"max({series('chaja_catalogue_documents')})", "")],
            unit="short",
            text="Documents in the catalogue, on the server with the most. Servers that differ have another catalogue, "
            "or have not caught up: the details show each.",
        ),
        value(
            "Recall",
            [Query(f"min({series('chaja_index_recall')})", "")],
            unit="percentunit",
            text="Recall@10 of the index, the lowest of all servers. Below --min-recall the server raises ef_search; "
            "if it stays there, raise --ef-search.",
            alerts=["ChajaRecallLow"],
            steps=[(None, "red"), (0.95, "orange"), (0.98, "green")],
        ),
        value(
            "Change lag",
            [Query(f"max({series('chaja_change_lag_seconds')})", "")],
            unit="s",
            text="Age of the oldest committed change that searches do not see. Above a minute: the log says why the "
            "index does not follow; a restart builds it from the store.",
            alerts=["ChajaIndexStale"],
            steps=[(None, "green"), (10, "orange"), (60, "red")],
        ),
        value(
            "Free disk",
            [Query(f"min({series('chaja_data_free_bytes')})", "")],
            unit="bytes",
            text="Free space of the file system of --data, the lowest of all servers. When it is full, writes fail; "
            "searches continue.",
            alerts=["ChajaDiskFull", "ChajaWritesFail"],
            steps=[(None, "red"), (FULL_BYTES, "orange"), (4 * FULL_BYTES, "green")],
        ),
    ]


def _documents() -> Panel:
    return graph(
        "Documents and their vectors",
        [
            Query(series("chaja_catalogue_documents"), "{{instance}} documents"),
            Query(series("chaja_catalogue_vectors"), "{{instance}} vectors"),
        ],
        unit="short",
        text="A sudden drop: a catalogue file lacks documents, or a caller deletes them. Restore a backup as the "
        "runbook describes.",
        alerts=["ChajaReloadFailed"],
        width=6,
    )


def _vectors() -> Panel:
    return graph(
        "Vectors by part of the index",
        [Query(f"max by (part) ({series('chaja_index_vectors')})", "{{part}}")],
        unit="short",
        text="Vectors in the graph, vectors that are compared one by one, and dead ones, on the server with the most. "
        "Many exact ones make searches slow until the graph is built; a rebuild removes dead ones.",
        stacked=True,
        width=6,
    )


def _recall() -> Panel:
    return graph(
        "Recall@10",
        [
            Query(f"min by (query) ({series('chaja_index_recall')})", "{{query}}"),
            Query(f"max({series('chaja_index_min_recall')})", "--min-recall", limit=True),
        ],
        unit="percentunit",
        text="Recall of the index on a sample of searches and of documents, the lowest of all servers, and "
        "--min-recall. Below it the server raises ef_search; if that does not help, raise --ef-search.",
        alerts=["ChajaRecallLow"],
        highest=1,
        width=6,
    )


def _ef_search() -> Panel:
    return graph(
        "ef_search",
        [Query(series("chaja_index_ef_search"), "{{instance}}")],
        unit="none",
        text="Candidates that a search of the graph keeps. Searches take longer when the server raises it.",
        alerts=["ChajaRecallLow"],
        width=6,
    )


def _changes() -> Panel:
    return graph(
        "Changes and failed commits",
        [
            Query(rate("chaja_changes_total"), "changes"),
            Query(rate("chaja_commit_failures_total"), "failed commits"),
        ],
        unit="cps",
        text="Documents written or deleted, and groups of changes that could not be written, per second. Commits fail "
        "on a full or broken disk: the log has the error.",
        alerts=["ChajaWritesFail", "ChajaDiskFull"],
        width=6,
    )


def _commits() -> Panel:
    return graph(
        "Duration of a commit",
        quantiles("chaja_commit_seconds"),
        unit="s",
        text="Time until a group of changes is durable and visible, mostly that of the disk. Use a faster one, or "
        "fewer and larger writes.",
        no_value="no changes",
        width=6,
    )


def _sequence() -> Panel:
    return graph(
        "Sequence",
        [
            Query(series("chaja_store_sequence"), "{{instance}} committed"),
            Query(series("chaja_catalogue_sequence"), "{{instance}} searched"),
        ],
        unit="short",
        text="Newest committed change, and newest change that searches see. They differ for milliseconds. Servers with "
        "stores of their own have their own sequences.",
        alerts=["ChajaIndexStale"],
        width=6,
    )


def _change_lag() -> Panel:
    return graph(
        "Change lag",
        [Query(series("chaja_change_lag_seconds"), "{{instance}}")],
        unit="s",
        text="Age of the oldest committed change that searches do not see. If it grows, the log says why the index "
        "does not follow; a restart builds it from the store.",
        alerts=["ChajaIndexStale"],
        limits=[(60, "red")],
        width=6,
    )


def _builds() -> Panel:
    return value(
        "Rebuilds of the index, builds of the graph",
        [
            Query(increase("chaja_index_rebuilds_total", by="result"), "rebuilds {{result}}"),
            Query(increase("chaja_graph_builds_total", by="result"), "graphs {{result}}"),
        ],
        unit="none",
        text="Rebuilds without dead vectors, and builds of the graph, in the dashboard's time range. A failed one is "
        "tried again; the log has the error, often too little memory.",
        alerts=["ChajaRecallLow"],
        decimals=0,
        width=6,
        tall=True,
    )


def _build_seconds() -> Panel:
    return value(
        "Duration of rebuilds and builds, p99",
        [
            Query(quantile_since_start(0.99, "chaja_index_rebuild_seconds"), "rebuild"),
            Query(quantile_since_start(0.99, "chaja_graph_build_seconds"), "graph"),
        ],
        unit="s",
        text="All since the servers started. They run beside searches and take one core. Until a graph is built, new "
        "vectors are compared one by one.",
        width=6,
        tall=True,
    )


def _snapshot_age() -> Panel:
    return graph(
        "Age of the snapshot",
        [Query(age("chaja_snapshot_timestamp_seconds"), "{{instance}}")],
        unit="s",
        text="Age of the newest snapshot of the index. Without a recent one, the next start replays more changes. It "
        "may be old if nothing has changed.",
        alerts=["ChajaSnapshotOld"],
        no_value="no snapshot",
        width=6,
    )


def _free_bytes() -> Panel:
    return graph(
        "Free disk",
        [Query(series("chaja_data_free_bytes"), "{{instance}}")],
        unit="bytes",
        text="Free space of the file system of --data. Backups may be on it: lower --backup-keep or move them.",
        alerts=["ChajaDiskFull"],
        limits=[(FULL_BYTES, "red")],
        width=6,
    )
