"""Records what happened to queries and texts: the metrics of their stages, and the slow-query log."""

from __future__ import annotations

from collections.abc import Sequence

from server.batching.job import Job
from server.logs.slow import SlowQueryLog
from server.metrics import Metrics


class Queries:
    """Takes every job of a call at its end. Used on the event loop only."""

    def __init__(self, metrics: Metrics, slow: SlowQueryLog) -> None:
        self._metrics = metrics
        self._slow = slow

    def answered(self, job: Job) -> None:
        """Takes a job that has passed all its stages."""
        self._metrics.searches.observe_stages(job.stopwatch)
        self._record(job)

    def failed(self, jobs: Sequence[Job]) -> None:
        """Takes the jobs of a call that failed, maybe before their last stage. The stage in which it was ends now."""
        for job in jobs:
            if job.stopwatch.seconds:
                if job.options is not None and job.found is None:
                    job.stopwatch.lap(job.stage)
                self._record(job)

    def _record(self, job: Job) -> None:
        stages = dict(job.stopwatch.seconds)  # A worker may still write to a failed job's.
        duration_seconds = sum(stages.values())
        if job.options is None or not self._slow.wants(duration_seconds):
            return
        found = job.found
        self._slow.write(
            job.text,
            stages,
            duration_seconds=duration_seconds,
            method=job.call.method if job.call is not None else "",
            mode=job.options.mode.name.lower(),
            batch_texts=job.batch_texts,
            hits=None if found is None else len(found.documents),
            sequence=None if found is None else found.sequence,
        )
