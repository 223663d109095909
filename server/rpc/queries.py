"""Records what happened to queries and texts: metrics and spans of their stages, and the slow-query log."""

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
        call = job.call
        self._metrics.searches.observe_stages(job.stopwatch, None if call is None else call.exemplar)
        self._record(job, failed=False)

    def failed(self, jobs: Sequence[Job]) -> None:
        """Takes the jobs of a call that failed, maybe before their last stage. The stage in which it was ends now."""
        for job in jobs:
            if job.stopwatch.seconds:
                if job.options is not None and job.found is None:
                    job.stopwatch.lap(job.stage)
                self._record(job, failed=True)

    def _record(self, job: Job, *, failed: bool) -> None:
        if job.call is not None and job.call.trace is not None:
            job.call.trace.query(
                list(job.stopwatch.laps), attributes=_attributes(job), batch=job.batch_span, failed=failed
            )
        stages = dict(job.stopwatch.seconds)  # A worker may still write to a failed job's.
        duration_seconds = sum(stages.values())
        if job.options is None or not self._slow.wants(duration_seconds):
            return
        found = job.found
        self._slow.write(
            job.asked,
            stages,
            interpreted=job.text if job.interpretation else None,
            duration_seconds=duration_seconds,
            method=job.call.method if job.call is not None else "",
            mode=job.options.mode.name.lower(),
            batch_texts=job.batch_texts,
            interpretation=job.interpretation or None,
            hits=None if found is None else len(found.documents),
            sequence=None if found is None else found.sequence,
        )


def _attributes(job: Job) -> dict[str, str | int]:
    """Returns the attributes of a job's span, none of which shows its text."""
    attributes: dict[str, str | int] = {"chaja.characters": len(job.asked), "chaja.batch_texts": job.batch_texts}
    if job.options is not None:
        attributes["chaja.mode"] = job.options.mode.name.lower()
    if job.interpretation:
        attributes["chaja.interpretation"] = job.interpretation
    if job.found is not None:
        attributes |= {"chaja.hits": len(job.found.documents), "chaja.sequence": job.found.sequence}
    return attributes
