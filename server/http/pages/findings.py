"""Sentences about what needs attention, from the figures of the status page."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from server.http.pages.figures import Figures, Gauges

MIN_CALLS_PER_SECOND = 0.1
"""Rate below which a share of calls says little."""

REFUSED_SHARE, FAILED_SHARE = 0.01, 0.001
SLOW_SHARE = 0.01
"""Share of searches that may exceed the objective."""

LAG_SECONDS = 0.1
CHANGE_LAG_SECONDS = 10.0
FREE_BYTES = 2**28
DESCRIPTORS_SHARE = 0.8
CERTIFICATE_SECONDS = 7 * 86400.0
BACKUP_INTERVALS = 2.0


class Thresholds(NamedTuple):
    """The operator's settings that findings depend on."""

    min_recall: float


class Finding(msgspec.Struct, frozen=True):
    """A sentence about a condition. `alert` is the section of `deploy/runbook.md` that says what to do."""

    kind: Literal["problem", "warning"]
    text: str
    alert: str


def findings_of(figures: Figures | None, gauges: Gauges, *, now: float, thresholds: Thresholds) -> list[Finding]:
    """Returns the findings, problems first. `now` is the Unix time. Comparisons with an unknown value (NaN) fail."""
    found = _of_gauges(gauges, now=now, thresholds=thresholds)
    if figures is not None:
        found += _of_figures(figures)
    return sorted(found, key=lambda each: each.kind != "problem")


def _of_figures(figures: Figures) -> list[Finding]:
    found = []
    if figures.calls_per_second >= MIN_CALLS_PER_SECOND:
        if (share := figures.failed_share or 0.0) > FAILED_SHARE:
            found.append(Finding("problem", f"{share:.1%} of calls fail", "ChajaErrorBudgetBurn"))
        if (share := figures.refused_share or 0.0) > REFUSED_SHARE:
            text = f"{share:.1%} of calls are refused, most because the server is overloaded: add replicas or cores"
            found.append(Finding("problem", text, "ChajaSaturated"))
    within = figures.within_objective_share
    if within is not None and 1 - within > SLOW_SHARE:
        objective = f"{figures.latency_objective_seconds * 1000:g} ms"
        text = f"{1 - within:.1%} of searches take longer than {objective}{_where(figures)}"
        found.append(Finding("warning", text, "ChajaLatencyBudgetBurn"))
    if (lag := figures.event_loop_lag_seconds) is not None and lag > LAG_SECONDS:
        text = f"the event loop answers late: by {lag * 1000:.0f} ms at the 99th percentile"
        found.append(Finding("warning", text, "ChajaEventLoopLag"))
    return found


def _where(figures: Figures) -> str:
    """Returns the stage that takes most of the time."""
    shares = [(each.share, each.stage) for each in figures.stages if each.share is not None]
    if not shares:
        return ""
    share, stage = max(shares)
    return f"; {share:.0%} of the time is spent in {stage}"


def _of_gauges(gauges: Gauges, *, now: float, thresholds: Thresholds) -> list[Finding]:
    found = []

    def add(kind: Literal["problem", "warning"], text: str, alert: str) -> None:
        found.append(Finding(kind, text, alert))

    if gauges.model and gauges.workers_alive < gauges.workers:
        dead = f"{gauges.workers - gauges.workers_alive:.0f} of {gauges.workers:.0f} workers have died"
        add("problem", f"{dead}: a restart or a reload starts new ones", "ChajaWorkerDead")
    if gauges.recall < thresholds.min_recall:
        add("problem", f"recall is {gauges.recall:.3f}, below --min-recall {thresholds.min_recall:g}", "ChajaRecallLow")
    if gauges.last_reload_failed == 1:
        add("problem", "the last reload failed; the previous bundle and catalogue keep serving", "ChajaReloadFailed")
    if gauges.change_lag_seconds > CHANGE_LAG_SECONDS:
        text = f"searches do not see changes that are {gauges.change_lag_seconds:.0f} s old"
        add("problem", text, "ChajaIndexStale")
    if gauges.backup_interval_seconds > 0:
        # Without any backup, the server should have made one since it started.
        age = now - (gauges.backup_timestamp_seconds or gauges.started_at)
        if age > BACKUP_INTERVALS * gauges.backup_interval_seconds:
            made = f"the newest backup is {age / 3600:.1f} hours old"
            add("problem", made if gauges.backup_timestamp_seconds else "no backup was made yet", "ChajaBackupOld")
    if gauges.data_free_bytes < FREE_BYTES:
        add("problem", f"the disk of --data has {gauges.data_free_bytes / 2**20:.0f} MiB left", "ChajaDiskFull")
    if 0 < gauges.certificate_expiry_timestamp_seconds < now + CERTIFICATE_SECONDS:
        days = (gauges.certificate_expiry_timestamp_seconds - now) / 86400
        text = f"the TLS certificate expires in {days:.1f} days" if days > 0 else "the TLS certificate has expired"
        add("problem", text, "ChajaCertificateExpires")
    if gauges.open_descriptors > DESCRIPTORS_SHARE * gauges.max_descriptors:
        text = f"{gauges.open_descriptors:.0f} of {gauges.max_descriptors:.0f} file descriptors are open"
        add("warning", text, "ChajaSaturated")
    return found
