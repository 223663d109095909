from __future__ import annotations

import asyncio
import threading

from server.batching.job import Job
from server.batching.queue import Queue
from server.encoding.tokenizer import TextKind, Tokens


def make_job(loop: asyncio.AbstractEventLoop, token_count: int) -> Job:
    job = Job(text="", kind=TextKind.QUERY, limit=None, truncate=False, done=loop.create_future())
    job.tokens = Tokens(TextKind.QUERY, [0] * token_count, token_count)
    return job


def test_a_worker_takes_its_share_in_the_order_of_arrival() -> None:
    loop = asyncio.new_event_loop()
    queue = Queue(workers=2, max_batch_tokens=1000)
    jobs = [make_job(loop, 10) for _ in range(5)]
    queue.put(jobs)
    assert queue.take() == jobs[:3]
    assert queue.take() == jobs[3:4]
    assert queue.take() == jobs[4:]
    loop.close()


def test_a_batch_keeps_to_the_token_budget_but_takes_at_least_one() -> None:
    loop = asyncio.new_event_loop()
    queue = Queue(workers=1, max_batch_tokens=100)
    jobs = [make_job(loop, count) for count in (60, 40, 1, 500, 2)]
    queue.put(jobs)
    assert queue.take() == jobs[:2]
    assert queue.take() == jobs[2:3]
    assert queue.take() == jobs[3:4]
    assert queue.take() == jobs[4:]
    loop.close()


def test_jobs_whose_callers_gave_up_are_dropped() -> None:
    loop = asyncio.new_event_loop()
    queue = Queue(workers=1, max_batch_tokens=100)
    jobs = [make_job(loop, 1) for _ in range(4)]
    queue.put(jobs)
    for job in jobs[:3]:
        job.done.cancel()
    assert queue.take() == jobs[3:]
    assert len(queue) == 0
    loop.close()


def test_a_closed_queue_is_emptied_first_and_then_ends_its_workers() -> None:
    loop = asyncio.new_event_loop()
    queue = Queue(workers=1, max_batch_tokens=100)
    job = make_job(loop, 1)
    queue.put([job])
    queue.close()
    assert queue.take() == [job]
    assert queue.take() == []
    loop.close()


def test_a_worker_that_waits_is_woken() -> None:
    loop = asyncio.new_event_loop()
    queue = Queue(workers=1, max_batch_tokens=100)
    taken: list[list[Job]] = []
    worker = threading.Thread(target=lambda: taken.append(queue.take()))
    worker.start()
    job = make_job(loop, 1)
    queue.put([job])
    worker.join(10)
    assert taken == [[job]]
    loop.close()
