"""The store: its changes, its disk and its backups."""

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from server.metrics.buckets import STAGE_SECONDS
from server.metrics.outcomes import Outcomes


class StoreMetrics:
    """The metrics of the store."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Creates every series."""
        counter, gauge = partial(Counter, registry=registry), partial(Gauge, registry=registry)
        histogram = partial(Histogram, registry=registry)
        self.commit_seconds = histogram(
            "chaja_commit_seconds",
            "Time until a group of changes is durable and visible to searches.",
            buckets=STAGE_SECONDS,
        )
        self.changes = counter("chaja_changes_total", "Documents written or deleted; every version counts.")
        self.commit_failures = counter(
            "chaja_commit_failures_total", "Groups of changes that could not be written, such as to a full disk."
        )
        self.sequence = gauge("chaja_store_sequence", "Sequence of the newest committed change.")
        self.change_lag_seconds = gauge(
            "chaja_change_lag_seconds",
            "Time since searches have lacked a committed change, or since the store has been away; 0 if neither.",
        )
        self.free_bytes = gauge(
            "chaja_data_free_bytes",
            "Free space of the file system of --data. Without a directory in --data, also with PostgreSQL, that of the "
            "server's temporary directory. NaN if it is unknown, as on a disk that does not answer.",
        )


class BackupMetrics:
    """The metrics of scheduled backups."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Creates every series."""
        gauge = partial(Gauge, registry=registry)
        self.timestamp_seconds = gauge(
            "chaja_backup_timestamp_seconds", "Unix time of the newest verified backup; 0 without one."
        )
        self.made = Outcomes(
            registry,
            counter=("chaja_backups_total", "Scheduled backups, by result: ok or failed."),
            seconds=("chaja_backup_seconds", "Time of a backup and its verification, also of a failed one."),
        )
        self.bytes = gauge("chaja_backup_bytes", "Size of the newest verified backup; 0 without one.")
        self.interval_seconds = gauge("chaja_backup_interval_seconds", "--backup-every-seconds; 0 if it is off.")
