"""The reference answers: the answers to each query without other load.

Answers under load are compared with them, to show throughput gained at the cost of wrong results.
"""

from loadtest.channel import Channel
from loadtest.codes import OK
from loadtest.errors import AttackError, UsageError
from loadtest.generator.sender import Caller
from loadtest.plan import Plan

Key = tuple[int, tuple[int, ...]]

MOST_ANSWERS = 100_000


async def get_reference_answers(plan: Plan) -> dict[Key, bytes]:
    """Makes every call of a plan with every query, one at a time; returns digests of the answers.

    Raises:
        UsageError: There are more answers than the limit, payloads have functions, queries are unique, or calls with
            several queries are not in the order `sequential`.
        AttackError: The server does not answer, or a call fails.
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
            caller = Caller(call, [channel])
            if any(caller.payload.template_of(query).changes for query in plan.queries):
                raise UsageError("--check-answers cannot compare payloads with functions, such as {{number}}")
            for key in _keys(plan, call.queries_per_call):
                messages = caller.payload.render([plan.queries[each] for each in key], 0, key=key)
                [method] = caller.methods
                answer = await method(messages, timeout_seconds=plan.deadline_seconds)
                if answer.code != OK:
                    raise AttackError(f"{call.method.name} failed without load: {answer}")
                reader = caller.reader
                digests[index, key] = reader.digest([reader.parse(message) for message in answer.messages])
    return digests


def _keys(plan: Plan, size: int) -> list[tuple[int, ...]]:
    """Returns the positions of the queries of each call, as the sampler groups them.

    Only the order `sequential` repeats the same groups of queries.
    """
    count = len(plan.queries)
    if size == 1:
        return [(query,) for query in range(count)]
    if plan.order != "sequential":
        raise UsageError("--check-answers needs --order sequential for calls with several queries")
    return list(dict.fromkeys(tuple((start * size + each) % count for each in range(size)) for start in range(count)))
