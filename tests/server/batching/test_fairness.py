"""Tests that interactive and bulk work share the workers fairly while both wait."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.batching.job import Job
from server.batching.queue import BULK_BATCH_TOKENS_SHARED, BULK_SHARE, Queue
from server.encoding.native.encoder import RUN_TOKENS
from tests.server.making import make_job, take

sizes = st.integers(1, 64)
arrivals = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.lists(st.tuples(sizes, st.booleans(), st.sampled_from("wwwwce")), max_size=12)),
        st.tuples(st.just("take"), st.integers(1, 4)),
    ),
    max_size=40,
)
"""Steps: jobs arrive (size, whether bulk, whether wanted, cancelled or expired), or a number of batches is taken."""


@settings(deadline=None)
@given(arrivals, st.integers(1, 4), st.integers(1, 512))
async def test_every_job_is_taken_once_in_order_and_within_the_budgets(
    script: list[tuple[str, object]], workers: int, max_batch_tokens: int
) -> None:
    queue = Queue(workers=workers, max_batch_tokens=max_batch_tokens)
    put: list[Job] = []
    out: list[Job] = []

    def take_one() -> None:
        waiting = {kind: sum(job.bulk is kind for job in put if job not in out) for kind in (False, True)}
        batch = take(queue)
        both = batch.jobs + batch.dropped
        assert both, "a worker never gets an empty batch"
        kinds = {job.bulk for job in both}
        assert len(kinds) == 1, "the two kinds do not share a batch"
        bulk = kinds.pop()
        budget = min(RUN_TOKENS, max_batch_tokens) if bulk else max_batch_tokens
        assert len(batch.jobs) == 1 or sum(job.token_count for job in batch.jobs) <= budget
        assert len(batch.jobs) <= -(-waiting[bulk] // workers)
        assert all(job.wanted(0) for job in batch.jobs)
        out.extend(sorted(both, key=put.index))

    for what, argument in script:
        if what == "put":
            assert isinstance(argument, list)
            jobs = [
                make_job(token_count=size, bulk=bulk, seconds=-1 if fate == "e" else 60)
                for size, bulk, fate in argument
            ]
            queue.put(jobs)
            put += jobs
            for job, (_, _, fate) in zip(jobs, argument, strict=True):
                if fate == "c":
                    job.done.cancel()
        else:
            assert isinstance(argument, int)
            for _ in range(argument):
                if len(queue):
                    take_one()
        assert len(queue) == len(put) - len(out)
        for lane, bulk in ((queue.interactive, False), (queue.bulk, True)):
            assert lane.tokens == sum(job.token_count for job in put if job.bulk is bulk and job not in out)
    while len(queue):
        take_one()
    assert len(out) == len(put) == len({id(job) for job in out})
    for bulk in (False, True):
        assert [job for job in out if job.bulk is bulk] == [job for job in put if job.bulk is bulk]
    assert queue.interactive.tokens == queue.bulk.tokens == 0


async def test_bulk_batches_are_small_while_interactive_queries_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue(workers=1, max_batch_tokens=512)
    queue.put([make_job(token_count=16, bulk=True) for _ in range(40)])

    def tokens_taken() -> int:
        return sum(job.token_count for job in take(queue).jobs)

    assert tokens_taken() == RUN_TOKENS // 16 * 16
    queue.put([make_job(token_count=5)])
    assert [tokens_taken(), tokens_taken()] == [5, BULK_BATCH_TOKENS_SHARED // 16 * 16]
    monkeypatch.setattr("server.batching.queue.INTERACTIVE_EXPECTED_SECONDS", 0.0)
    assert tokens_taken() == RUN_TOKENS // 16 * 16


@settings(deadline=None, max_examples=50)
@given(st.lists(sizes, min_size=1, max_size=30), st.lists(sizes, min_size=1, max_size=30), st.integers(1, 4))
async def test_bulk_work_gets_its_share_while_interactive_work_always_waits(
    interactive_sizes: list[int], bulk_sizes: list[int], workers: int
) -> None:
    """Its share is one token in `BULK_SHARE`, with a deviation of at most a text or a batch."""
    queue = Queue(workers=workers, max_batch_tokens=128)
    tokens = {False: 0, True: 0}
    turns_of_bulk = [0]
    for turn in range(400):
        for lane, lengths, bulk in ((queue.interactive, interactive_sizes, False), (queue.bulk, bulk_sizes, True)):
            while len(lane.jobs) < 20:  # Neither kind ever runs out.
                queue.put([make_job(token_count=lengths[turn % len(lengths)], bulk=bulk)])
        jobs = take(queue).jobs
        tokens[jobs[0].bulk] += sum(job.token_count for job in jobs)
        if jobs[0].bulk:
            turns_of_bulk.append(turn)
        fair = tokens[False] / (BULK_SHARE - 1)
        assert fair - max(bulk_sizes) - 1 - 128 / (BULK_SHARE - 1) <= tokens[True] <= fair
    assert len(turns_of_bulk) > 1
    longest = max(b - a for a, b in pairwise([*turns_of_bulk, 400]))
    assert longest <= 2 + (BULK_SHARE - 1) * max(bulk_sizes) / min(interactive_sizes)


async def test_one_worker_takes_no_long_bulk_text_while_interactive_queries_arrive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = Queue(workers=2, max_batch_tokens=512)
    query, later = make_job(token_count=5), make_job(token_count=5)
    long = [make_job(token_count=BULK_BATCH_TOKENS_SHARED + 1, bulk=True) for _ in range(3)]
    queue.put([query])
    assert take(queue).jobs == [query]
    queue.put(long)
    with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
        assert first.submit(take, queue).result(20).jobs == long[:1]
        waiting = second.submit(take, queue)
        queue.put([later])
        assert waiting.result(20).jobs == [later], "the other worker is free for the query"
        waiting = second.submit(take, queue)
        assert first.submit(take, queue).result(20).jobs == long[1:2], "the first has finished its long text"
        monkeypatch.setattr("server.batching.queue.INTERACTIVE_EXPECTED_SECONDS", 0.0)
        queue.put([make_job(token_count=5, bulk=True)])
        assert waiting.result(20).jobs == long[2:], "no query is expected any more"
