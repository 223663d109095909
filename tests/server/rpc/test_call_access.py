"""The access of callers, at the start of a call and while a stream is open."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest

from server.errors import Overloaded
from server.rpc import calls as calls_module
from server.rpc import connections
from server.rpc.server import METHODS
from server.security.access import ROLE_OF
from server.security.tokens import AccessTokens
from tests.server.making import until
from tests.server.rpc.served_calls import (
    REQUEST,
    SEARCH,
    STREAM,
    WATCH,
    Codes,
    bearer,
    guarded,
    serving,
)


@pytest.mark.parametrize(
    ("token", "code"), [(None, Codes.UNAUTHENTICATED), ("wrong", Codes.UNAUTHENTICATED), ("t" * 16, None)]
)
async def test_a_token_is_checked_before_the_message_arrives(
    tmp_path: Path, token: str | None, code: grpc.StatusCode | None
) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"search app {'t' * 16}\n", encoding="utf-8")
    async with serving(AccessTokens(path)) as served:
        if code is None:
            await served.call(metadata=bearer(token))
            assert await served.counted() == {"OK": 1}
            return
        for method, name in ((SEARCH, "Search"), (STREAM, "SearchStream")):
            unfinished = served.channel.stream_stream(method)(metadata=bearer(token))
            assert await unfinished.code() is code
            assert await served.counted(name) == {"Unauthenticated": 1}
        assert not served.service.asked


@pytest.mark.parametrize(
    ("line", "code"),
    [("", Codes.UNAUTHENTICATED), (f"search app {'t' * 16}", Codes.PERMISSION_DENIED), (f"admin app {'t' * 16}", None)],
)
async def test_an_open_stream_ends_once_its_caller_has_lost_its_access(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, code: grpc.StatusCode | None
) -> None:
    async with guarded(tmp_path / "tokens", monkeypatch) as served:
        served.service.released.clear()  # No message comes.
        watch = served.channel.unary_stream(WATCH)(b"", metadata=bearer("t" * 16))
        for _ in range(2):
            await watch.read()
        search = served.channel.stream_stream(STREAM)(metadata=bearer("t" * 16))
        await until(lambda: len(served.calls.running) == 2)
        (tmp_path / "tokens").write_text(f"{line}\nadmin other {'o' * 16}\n", encoding="utf-8")
        if code is None:
            await asyncio.sleep(0.5)
            assert not watch.done()
        else:
            assert await asyncio.wait_for(watch.code(), 5) is code
        if code is Codes.UNAUTHENTICATED:
            assert await asyncio.wait_for(search.code(), 5) is code
        else:  # The role search is enough.
            assert not search.done()
        watch.cancel()
        search.cancel()


async def test_a_stream_that_works_too_long_ends_all_the_same_once_its_caller_has_lost_its_access(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with guarded(tmp_path / "tokens", monkeypatch) as served:
        served.service.released.clear()
        search = served.channel.stream_stream(STREAM)(metadata=bearer("t" * 16))
        await search.write(REQUEST)
        await until(lambda: served.service.asked)
        (tmp_path / "tokens").write_text("", encoding="utf-8")
        assert await asyncio.wait_for(search.code(), 5) is Codes.UNAUTHENTICATED


async def test_a_message_of_a_caller_that_has_lost_its_access_is_not_processed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with guarded(tmp_path / "tokens", monkeypatch) as served:
        monkeypatch.setattr(calls_module, "ACCESS_SECONDS", 60.0)
        await asyncio.sleep(0.1)  # The last check of all streams.
        search = served.channel.stream_stream(STREAM)(metadata=bearer("t" * 16))
        await search.write(REQUEST)
        assert await search.read() == b""
        (tmp_path / "tokens").write_text("", encoding="utf-8")
        await search.write(REQUEST)
        assert await asyncio.wait_for(search.code(), 5) is Codes.UNAUTHENTICATED
        assert served.service.asked == ["환율"]


async def test_a_caller_without_a_token_is_not_told_of_limits_and_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MAX_CALLS", 0)
    monkeypatch.setattr(connections, "FAIR_CALLS", 0)
    async with guarded(tmp_path / "tokens", monkeypatch) as served:
        served.overload = Overloaded(0.7)
        large: Any = tuple((f"x-{number}", "y" * 1000) for number in range(14))
        for metadata in ((), large, bearer("wrong"), (*large, *bearer("wrong"))):
            assert await served.code(metadata=metadata) is Codes.UNAUTHENTICATED
        assert await served.code(metadata=bearer("t" * 16)) is Codes.RESOURCE_EXHAUSTED
        assert await served.counted() == {"Unauthenticated": 4, "ResourceExhausted": 1}


def test_every_method_has_a_role() -> None:
    assert {f"/{method.service}/{method.name}" for method in METHODS} == set(ROLE_OF)
