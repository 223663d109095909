"""The answers at rest: what each query is answered when nothing else is asked.

Answers under load are compared with them; throughput that was bought by wrong results is seen.
"""

from loadtest.channel import Channel
from loadtest.codes import OK
from loadtest.errors import AttackError, UsageError
from loadtest.generator.sender import Caller
from loadtest.plan import Plan
from loadtest.requests.payload import NUMBER

Key = tuple[int, tuple[int, ...]]

MOST_ANSWERS = 100_000


async def answers_at_rest(plan: Plan) -> dict[Key, bytes]:
    """Makes every call of a plan with every query, one at a time; returns digests of the answers.

    Raises:
        UsageError: There are more of them than can be kept.
        AttackError: The server does not answer, or a call fails.
    """
    count = len(plan.queries)
    if count * len(plan.calls) > MOST_ANSWERS:
        raise UsageError(f"answers at rest are compared for at most {MOST_ANSWERS:,} queries, not {count:,}")
    digests: dict[Key, bytes] = {}
    async with Channel(plan.target) as channel:
        await channel.connected()
        for index, call in enumerate(plan.calls):
            caller = Caller(call, [channel])
            if NUMBER in caller.payload.places:
                raise UsageError("answers of payloads with {{number}} cannot be compared with those at rest")
            for key in _keys(plan, call.queries_per_call):
                messages = caller.payload.render([plan.queries[each] for each in key], 0, key=key)
                [method] = caller.methods
                answer = await method(messages, timeout_seconds=plan.deadline_seconds)
                if answer.code != OK:
                    raise AttackError(f"{call.method.name} fails at rest: {answer}")
                reader = caller.reader
                digests[index, key] = reader.digest([reader.parse(message) for message in answer.messages])
    return digests


def _keys(plan: Plan, size: int) -> list[tuple[int, ...]]:
    """Returns the queries of each call as the sampler puts them together.

    Of calls with one query each, all there are; of larger ones only those of the order `sequential` come again.
    """
    count = len(plan.queries)
    if size == 1:
        return [(query,) for query in range(count)]
    if plan.order != "sequential":
        raise UsageError("answers of calls with several queries can be compared in the order sequential only")
    return list(dict.fromkeys(tuple((start * size + each) % count for each in range(size)) for start in range(count)))
