"""Scheduled backups."""

from deploy.grafana.frame import Row
from deploy.grafana.panels import Panel, graph, value
from deploy.grafana.queries import Query, age, increase, quantile_since_start, series

AGE = age("chaja_backup_timestamp_seconds")
INTERVAL = f"{series('chaja_backup_interval_seconds')} > 0"


def details() -> Row:
    """Returns the row of the details."""
    return Row("Backups", [_age(), _results(), _duration(), _bytes()])


def newest() -> Panel:
    """Returns the age of the oldest of the servers' newest backups, for the overview."""
    return value(
        "Backup age",
        [Query(f"max({AGE})", "")],
        unit="s",
        text="Age of the newest verified backup, on the server with the oldest. `none`: --backup-every-seconds is off, "
        "or no backup has succeeded. The log says why a backup fails.",
        alerts=["ChajaBackupOld", "ChajaBackupFailed"],
    )


def _age() -> Panel:
    return graph(
        "Age of the newest backup",
        [Query(AGE, "{{instance}}"), Query(f"2 * min({INTERVAL})", "ChajaBackupOld", limit=True)],
        unit="s",
        text="Age of the newest verified backup, and twice --backup-every-seconds. If it is above, the log says why "
        "backups fail.",
        alerts=["ChajaBackupOld"],
        no_value="no backup",
        width=6,
    )


def _results() -> Panel:
    return value(
        "Backups",
        [Query(increase("chaja_backups_total", by="result"), "{{result}}")],
        unit="none",
        text="Scheduled backups in the dashboard's time range. Failed: the log has the reason, often a full disk.",
        alerts=["ChajaBackupFailed"],
        decimals=0,
        width=6,
        tall=True,
    )


def _duration() -> Panel:
    return value(
        "Duration of a backup, p99",
        [Query(quantile_since_start(0.99, "chaja_backup_seconds"), "")],
        unit="s",
        text="All backups since the servers started, with their verification. Near --backup-every-seconds: make them "
        "less often.",
        no_value="no backup",
        width=6,
        tall=True,
    )


def _bytes() -> Panel:
    return graph(
        "Size of the newest backup",
        [Query(series("chaja_backup_bytes"), "{{instance}}")],
        unit="bytes",
        text="--backup-keep times this size is needed on the disk of --backup-directory.",
        alerts=["ChajaDiskFull"],
        width=6,
    )
