import asyncio
import contextlib
import itertools
import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.attributes.filter import Exists
from server.batching.admission import Admission
from server.batching.job import Job
from server.batching.pipeline import Pipeline
from server.batching.queue import BULK_SHARE, Queue
from server.batching.speed import Speed
from server.defaults import ADMITTED_SHARE
from server.encoding.kind import Side, TextKind
from server.errors import Overloaded
from server.ranking.options import Mode, SearchOptions
from tests.server.making import WatchedBundle, expire, make_job, take, until

SECONDS_PER_TOKEN = 0.001

NewPipeline = Callable[..., Pipeline]


def make_admission(queue: Queue, *, workers: int = 1, longest_wait_seconds: float = 1.0) -> Admission:
    speed = Speed()
    speed.per_token.value = speed.per_token_of_full_batch.value = SECONDS_PER_TOKEN
    return Admission(queue, speed, workers=workers, longest_wait_seconds=longest_wait_seconds)


def new_jobs(sizes: list[int], *, bulk: bool = False) -> list[Job]:
    """Returns jobs with a wait of 0, even on a slow machine."""
    jobs = [make_job(token_count=size, bulk=bulk) for size in sizes]
    for job in jobs:
        job.arrived = math.inf
    return jobs


def simulated_wait(queue: Queue, *, bulk: bool, workers: int) -> float:
    """Returns the time until otherwise idle workers take a job that arrives now."""
    (probe,) = new_jobs([1], bulk=bulk)
    queue.put([probe])
    free = [0.0] * workers
    for _ in itertools.count():
        worker = min(range(workers), key=free.__getitem__)
        jobs = take(queue).jobs
        if probe in jobs:
            return free[worker]
        free[worker] += SECONDS_PER_TOKEN * sum(job.token_count for job in jobs)
    raise AssertionError


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 30), max_size=60),
    st.lists(st.integers(1, 30), max_size=60),
    st.integers(1, 4),
    st.booleans(),
)
async def test_the_predicted_wait_is_that_of_a_simulated_queue(
    interactive: list[int], bulk: list[int], workers: int, probe_is_bulk: bool
) -> None:
    queue = Queue(workers=workers, max_batch_tokens=64)
    admission = make_admission(queue, workers=workers)
    queue.put(new_jobs(interactive))
    queue.put(new_jobs(bulk, bulk=True))
    admission.bulk_tokens = sum(bulk)
    predicted = admission.predicted_wait_seconds(bulk=probe_is_bulk)
    simulated = simulated_wait(queue, bulk=probe_is_bulk, workers=workers)
    # The job may share its batch, and the workers may differ by a batch.
    batches = 64 + (BULK_SHARE if probe_is_bulk else 1) * (30 + 64)
    assert simulated <= predicted + batches * SECONDS_PER_TOKEN
    assert simulated >= predicted - (batches + 64) * SECONDS_PER_TOKEN


async def test_every_call_is_admitted_until_the_speed_is_measured() -> None:
    queue = Queue(workers=1, max_batch_tokens=64)
    queue.put([make_job(token_count=64) for _ in range(1000)])
    Admission(queue, Speed(), workers=1, longest_wait_seconds=60).admit(tokens=100, bulk=False, remaining_seconds=60)


async def test_a_call_that_would_wait_too_long_is_rejected_with_its_predicted_wait() -> None:
    queue = Queue(workers=2, max_batch_tokens=64)
    admission = make_admission(queue, workers=2, longest_wait_seconds=0.5 / ADMITTED_SHARE + 1e-9)
    queue.put([make_job(token_count=10) for _ in range(100)])  # 1000 tokens: half a second of two workers.
    admission.admit(tokens=1, bulk=False, remaining_seconds=math.inf)
    queue.put([make_job(token_count=10) for _ in range(10)])
    with pytest.raises(Overloaded) as rejected:
        admission.admit(tokens=1, bulk=False, remaining_seconds=math.inf)
    assert rejected.value.retry_milliseconds == 550


@pytest.mark.parametrize("bulk", [False, True])
async def test_a_call_whose_deadline_cannot_be_met_is_rejected(bulk: bool) -> None:
    admission = make_admission(Queue(workers=1, max_batch_tokens=64))
    admission.admit(tokens=100, bulk=bulk, remaining_seconds=0.11)
    admission.bulk_tokens = 0
    with pytest.raises(Overloaded, match="the deadline is too near"):
        admission.admit(tokens=100, bulk=bulk, remaining_seconds=0.09)
    assert admission.bulk_tokens == 0, "rejected calls are not counted"


@given(st.lists(st.integers(1, 40), max_size=200), st.floats(0.01, 1), st.integers(1, 4))
@settings(deadline=None)
async def test_the_bound_on_the_wait_does_not_depend_on_the_size_of_a_call(
    waiting: list[int], longest: float, workers: int
) -> None:
    queue = Queue(workers=workers, max_batch_tokens=64)
    admission = make_admission(queue, workers=workers, longest_wait_seconds=longest)
    queue.put(new_jobs(waiting))
    fits = sum(waiting) * SECONDS_PER_TOKEN / workers <= longest * ADMITTED_SHARE
    for tokens in (1, 8, 5000):
        with contextlib.nullcontext() if fits else pytest.raises(Overloaded):
            admission.admit(tokens=tokens, bulk=False, remaining_seconds=math.inf)


async def test_waiting_bulk_work_blocks_bulk_work_but_not_queries() -> None:
    admission = make_admission(Queue(workers=1, max_batch_tokens=64), longest_wait_seconds=0.5)
    admission.admit(tokens=600, bulk=True, remaining_seconds=math.inf)
    with pytest.raises(Overloaded):
        admission.admit(tokens=1, bulk=True, remaining_seconds=math.inf)
    admission.admit(tokens=1, bulk=False, remaining_seconds=0.1)


async def test_bulk_tokens_return_to_zero_however_calls_end(watched: WatchedBundle, pipeline: Pipeline) -> None:
    def jobs_of(text: str) -> list[Job]:
        return [make_job(f"{text}{n}", kind=TextKind.TEXT, bulk=True, seconds=20) for n in range(100)]

    watched.fails_on["poison7"] = RuntimeError("broken")
    watched.gate.clear()
    jobs = {text: jobs_of(text) for text in ("fine", "poison", "x" * 64, "cancelled", "abandoned", "expired")}
    tasks = {text: asyncio.create_task(pipeline.run(of)) for text, of in jobs.items()}
    await until(lambda: watched.batches)
    assert pipeline.admission.bulk_tokens > 0
    tasks["cancelled"].cancel()
    expire(*jobs["expired"])
    watched.gate.set()
    await asyncio.sleep(0.005)
    tasks["abandoned"].cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)
    await pipeline.run([make_job("interactive")], admitted=True)
    assert pipeline.admission.bulk_tokens == 0

    def broken(texts: object) -> list[object]:
        raise RuntimeError("the tokenizer is broken")

    watched.tokenize = broken  # type: ignore[method-assign, assignment]
    with pytest.raises(RuntimeError, match="the tokenizer is broken"):
        await pipeline.run(jobs_of("y"))
    assert pipeline.admission.bulk_tokens == 0


async def test_the_cost_of_a_bulk_call_is_that_of_full_batches() -> None:
    admission = make_admission(Queue(workers=1, max_batch_tokens=64))
    admission._speed.per_token.value = 10 * SECONDS_PER_TOKEN  # As measured on single short queries.
    admission.admit(tokens=1000, bulk=True, remaining_seconds=1.01)


async def test_a_text_counts_as_the_tokens_that_the_model_sees(
    new_pipeline: NewPipeline, watched: WatchedBundle
) -> None:
    pipeline = new_pipeline()
    maximum = watched.manifest.tower(Side.QUERY).max_tokens
    speed = pipeline.admission._speed
    speed.per_token.value = speed.per_token_of_full_batch.value = SECONDS_PER_TOKEN
    speed.tokens_per_character = 1.0
    # The texts have 1,000,000 characters in all; the model sees 50 times its maximum, by one worker.
    jobs = [make_job("가나 다라 " * 3334, truncate=True, bulk=True, seconds=51 * maximum / 1000) for _ in range(50)]
    assert await pipeline.run(jobs) == [None] * 50


@pytest.mark.parametrize("options", [SearchOptions(1, mode=Mode.LEXICAL), SearchOptions(1, filter=Exists("x"))])
async def test_slow_searches_count_as_their_measured_time(
    options: SearchOptions, watched: WatchedBundle, new_pipeline: NewPipeline
) -> None:
    pipeline = new_pipeline(longest_wait_seconds=0.5)
    speed = pipeline.admission._speed
    for _ in range(200):
        speed.learn_search(options, seconds=0.02)
    watched.gate.clear()
    blocker = asyncio.create_task(pipeline.run([make_job("blocker")]))
    await until(lambda: watched.batches)
    admitted, rejected = [], 0
    for number in range(40):
        call = asyncio.create_task(pipeline.run([make_job(f"{number}", options=options)]))
        await asyncio.sleep(0)
        admitted.append(call)
        rejected += pipeline.admission.overload(bulk=False) is not None
    assert 40 - rejected == pytest.approx(0.5 * ADMITTED_SHARE / 0.02, abs=4)
    watched.gate.set()
    await asyncio.gather(blocker, *admitted, return_exceptions=True)


async def test_calls_are_admitted_again_after_a_pause_of_the_machine() -> None:
    speed = Speed()
    speed.learn(tokens=10, tokens_per_character=0.25, seconds=3.0)
    admission = Admission(Queue(workers=1, max_batch_tokens=64), speed, workers=1, longest_wait_seconds=0.5)
    rejected = 0
    while True:
        try:
            admission.admit(tokens=10, bulk=False, remaining_seconds=1.0)
            break
        except Overloaded:
            rejected += 1
    assert 1 <= rejected <= 20, "some calls are rejected until the estimate is corrected"


async def test_rejected_calls_are_logged_once_per_interval(caplog: pytest.LogCaptureFixture) -> None:
    queue = Queue(workers=1, max_batch_tokens=64)
    queue.put([make_job(token_count=10) for _ in range(100)])
    admission = make_admission(queue, longest_wait_seconds=0.5)
    for _ in range(50):
        assert admission.overload(bulk=False) is not None
    assert [record.getMessage() for record in caplog.records] == [
        "overloaded: rejecting calls; they would wait 1000 ms in the queue"
    ]
