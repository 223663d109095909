"""The reference answers: the answers to each query without other load.

Answers under load are compared with them, to show throughput gained at the cost of wrong results. Each call is made
twice, and a third time if the answers differ, as those of a write do. If the last two differ as well, the answers vary
without load, and are not compared.
"""

from collections.abc import Sequence

from google.protobuf.message import DecodeError

from loadtest.channel import Channel
from loadtest.codes import CODES, OK
from loadtest.errors import AttackError, UsageError
from loadtest.generator.sender import IN_ANSWER, MALFORMED, Caller
from loadtest.plan import Plan
from loadtest.target import Metadata

Key = tuple[int, tuple[int, ...]]

MOST_ANSWERS = 100_000
MOST_CALLS = 3


async def get_reference_answers(plan: Plan) -> dict[Key, bytes]:
    """Makes every call of a plan with every query, one at a time; returns digests of the answers that do not vary.

    Raises:
        UsageError: There are more answers than the limit, payloads have functions, queries are unique, or calls with
            several queries are not in the order `sequential`.
        AttackError: The server does not answer, a call fails, or the answers of a call to every query vary.
    """
    count = len(plan.queries)
    if count * len(plan.calls) > MOST_ANSWERS:
        raise UsageError(f"--check-answers compares at most {MOST_ANSWERS:,} queries, not {count:,}")
    if plan.unique_from is not None:
        raise UsageError("--check-answers compares answers to queries that repeat: remove --unique")
    digests: dict[Key, bytes] = {}
    async with Channel(plan.target) as channel:
        await channel.connected()
        for index, call in enumerate(plan.calls):
            caller = Caller(call, [channel], plan)
            if any(caller.payload.template_of(query).changes for query in plan.queries):
                raise UsageError("--check-answers cannot compare payloads with functions, such as {{number}}")
            for key in _keys(plan, call.queries_per_call):
                messages = caller.payload.render([plan.queries[each] for each in key], 0, key=key)
                made = (messages, caller.headers.render(plan.queries[key[0]], 0) if caller.headers else ())
                digest = await _settled(caller, *made, name=call.method.name, seconds=plan.deadline_seconds)
                if digest is not None:
                    digests[index, key] = digest
            if not any(number == index for number, _ in digests):
                raise AttackError(
                    f"--check-answers cannot compare the answers of {call.method.name}: they differ from call to call "
                    "without load"
                )
    return digests


async def _settled(
    caller: Caller, messages: Sequence[bytes], headers: Metadata, *, name: str, seconds: float
) -> bytes | None:
    """Returns the digest of an answer that two calls in a row got; `None` if three calls got no such answer."""
    before = None
    for _ in range(MOST_CALLS):
        digest = await _digest(caller, messages, headers, name=name, seconds=seconds)
        if digest == before:
            return digest
        before = digest
    return None


async def _digest(caller: Caller, messages: Sequence[bytes], headers: Metadata, *, name: str, seconds: float) -> bytes:
    [method] = caller.methods
    answer = await method(messages, timeout_seconds=seconds, headers=headers)
    if answer.code != OK:
        raise AttackError(f"{name} failed without load: {answer}")
    try:
        parsed = [caller.reader.parse(message) for message in answer.messages]
        errors = caller.errors.read(parsed)
    except DecodeError:
        raise AttackError(f"{name} failed without load: {MALFORMED}") from None
    if errors.failed:
        raise AttackError(f"{name} failed without load: {CODES[errors.code]}: {IN_ANSWER}{errors.message}")
    return caller.reader.digest(parsed)


def _keys(plan: Plan, size: int) -> list[tuple[int, ...]]:
    """Returns the positions of the queries of each call, as the sampler groups them.

    Only the order `sequential` repeats the same groups of queries.
    """
    count = calls = len(plan.queries)
    if plan.order == "sequential" and plan.count is not None and not plan.warm_up_seconds:
        calls = min(count, plan.count)  # The run makes no others.
    if size == 1:
        return [(query,) for query in range(calls)]
    if plan.order != "sequential":
        raise UsageError("--check-answers needs --order sequential for calls with several queries")
    return list(dict.fromkeys(tuple((start * size + each) % count for each in range(size)) for start in range(calls)))
