import time

from server.batching.job import Job
from server.batching.queue import Batch, Queue
from tests.server.making import make_job, take


def taken_jobs(queue: Queue) -> list[Job]:
    batch = take(queue)
    assert not batch.dropped
    return batch.jobs


async def test_a_worker_takes_its_share_in_the_order_of_arrival() -> None:
    queue = Queue(workers=2, max_batch_tokens=1000)
    jobs = [make_job(token_count=10) for _ in range(5)]
    queue.put(jobs)
    assert taken_jobs(queue) == jobs[:3]
    assert taken_jobs(queue) == jobs[3:4]
    assert taken_jobs(queue) == jobs[4:]


async def test_a_batch_keeps_to_the_token_budget_but_has_at_least_one_job() -> None:
    queue = Queue(workers=1, max_batch_tokens=100)
    jobs = [make_job(token_count=count) for count in (60, 40, 1, 500, 2)]
    queue.put(jobs)
    assert taken_jobs(queue) == jobs[:2]
    assert taken_jobs(queue) == jobs[2:3]
    assert taken_jobs(queue) == jobs[3:4]
    assert taken_jobs(queue) == jobs[4:]


async def test_cancelled_and_expired_jobs_are_dropped() -> None:
    queue = Queue(workers=1, max_batch_tokens=100)
    jobs = [make_job(token_count=1) for _ in range(3)]
    late, wanted = make_job(token_count=1, seconds=-1), make_job(token_count=1)
    queue.put([*jobs, late, wanted])
    for job in jobs:
        job.done.cancel()
    assert take(queue) == Batch(jobs=[wanted], dropped=[*jobs, late])
    assert len(queue) == queue.interactive.tokens == 0


async def test_a_query_that_has_waited_too_long_is_dropped() -> None:
    queue = Queue(workers=1, max_batch_tokens=1000, longest_wait_seconds=0.5)
    late, late_bulk, early = make_job(token_count=1), make_job(token_count=1, bulk=True), make_job(token_count=1)
    late.arrived = late_bulk.arrived = time.monotonic() - 1
    queue.put([late, early, late_bulk])
    assert queue.interactive.oldest_seconds >= 1
    assert take(queue) == Batch(jobs=[early], dropped=[late])
    assert taken_jobs(queue) == [late_bulk], "bulk work is dropped only after its deadline"


async def test_a_batch_of_a_slow_worker_ends_before_the_longest_wait_of_its_first_job() -> None:
    queue = Queue(workers=1, max_batch_tokens=1000, longest_wait_seconds=0.5)
    jobs = [make_job(token_count=10) for _ in range(100)]
    queue.put(jobs)
    slow = queue.take(seconds_per_token=0.001)
    queue.interactive.jobs[0].arrived -= 0.4
    late = queue.take(seconds_per_token=0.001)
    fast = queue.take()
    assert slow is not None
    assert late is not None
    assert fast is not None
    assert 20 <= len(slow.jobs) <= 25, "half of 0.5 s"
    assert len(late.jobs) == 5, "half of less than 0.1 s, but no less than 0.05 s"
    assert len(fast.jobs) == 100 - len(slow.jobs) - len(late.jobs)
