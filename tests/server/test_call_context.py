import asyncio

import pytest

from server.call_context import CallContext, Parent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def context_of(*metadata: tuple[str, str | bytes]) -> CallContext:
    return CallContext.of("/chaja.v1.SearchService/Search", metadata)


@pytest.mark.parametrize("sent", ["a", "7f3b/Root=1-67.a:b+c@d_e-", "x" * 128])
def test_a_well_formed_request_id_is_used(sent: str) -> None:
    assert context_of(("x-request-id", sent)).request_id == sent


@pytest.mark.parametrize("sent", ["", "x" * 129, "a b", "a\nb", "a\x1b[31m", '{"a"}', "환율", b"bytes"])
def test_any_other_request_id_is_replaced(sent: str | bytes) -> None:
    made = context_of(("x-request-id", sent)).request_id
    assert made != sent
    assert made == context_of(("x-request-id", made)).request_id


def test_made_request_ids_differ() -> None:
    assert len({context_of().request_id for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    ("sent", "sampled"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-03", True),
        (f"cc-{TRACE}-{SPAN}-01-later-versions-may-be-longer", True),
    ],
)
def test_the_caller_s_span_is_read(sent: str, sampled: bool) -> None:
    context = context_of(("traceparent", sent), ("tracestate", "a=1"), ("tracestate", "b=2"))
    assert context.parent == Parent(TRACE, SPAN, sampled, "a=1,b=2")
    assert context.trace_id == TRACE


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "garbage",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01\n",
    ],
)
def test_an_invalid_traceparent_is_ignored(sent: str) -> None:
    context = context_of(("traceparent", sent), ("tracestate", "a=1"))
    assert context.parent is None
    assert context.trace_id == ""


def test_a_long_tracestate_is_dropped() -> None:
    context = context_of(("traceparent", f"00-{TRACE}-{SPAN}-01"), ("tracestate", "a=" + "1" * 600))
    assert context.parent == Parent(TRACE, SPAN, True)


async def test_the_tasks_of_a_call_find_its_context() -> None:
    assert CallContext.current() is None

    async def call() -> tuple[CallContext, CallContext | None]:
        context = context_of()
        context.make_current()
        await asyncio.sleep(0)
        return context, await asyncio.create_task(current())

    async def current() -> CallContext | None:
        return CallContext.current()

    for context, found in await asyncio.gather(*(asyncio.create_task(call()) for _ in range(3))):
        assert found is context
    assert CallContext.current() is None
