"""Runs the jobs of a call, and reports errors by the fields of its request."""

from collections.abc import Sequence

from chaja.v1 import Timings
from server.batching.job import Job
from server.engine import Engine
from server.errors import UnfitText, Violation
from server.rpc.limits import raise_any
from server.rpc.queries import Queries


async def run_jobs(engine: Engine, jobs: Sequence[Job], fields: Sequence[str], *, queries: Queries) -> None:
    """Takes the jobs of one call through the stages; `fields` names each job's field in the request.

    If the call fails, `queries` gets its jobs. Otherwise the caller passes on each job after its last stage.

    Raises InvalidRequest if the model cannot encode some texts, or the error that rejected the call or failed a stage.
    """
    try:
        outcomes = await engine.run(jobs)
        violations = [
            Violation(field, str(outcome))
            for field, outcome in zip(fields, outcomes, strict=True)
            if isinstance(outcome, UnfitText)
        ]
        raise_any(violations)
        for outcome in outcomes:
            if outcome is not None:
                raise outcome
    except BaseException:  # A cancelled call, too.
        queries.failed(jobs)
        raise


def timings_of(job: Job) -> Timings:
    """Returns the message of the times of a job's stages."""
    timings = Timings(batch_texts=job.batch_texts)
    for stage, seconds in job.stopwatch.seconds.items():
        duration = getattr(timings, stage)
        duration.seconds, duration.nanos = divmod(int(seconds * 1e9), 10**9)
    return timings
