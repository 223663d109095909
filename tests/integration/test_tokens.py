import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

import chaja
from chaja.v1 import (
    AdminServiceStub,
    BatchSearchRequest,
    EncodeRequest,
    GetServerInfoRequest,
    ReloadRequest,
    SearchRequest,
)
from sample.server_process import ServerProcess, running_server
from tests.conftest import SAMPLE_CATALOGUE, server_flags
from tests.integration.scraping import HANDLED, scrape_until, total
from tests.integration.test_lifecycle import health_of, last_line, run_server

SEARCH, OTHER_SEARCH, ADMIN = "search-token-0123456789", "another-search-token-01", "admin-token-0123456789"
LINES = f"# who may what\nsearch app {SEARCH}\nadmin ops {ADMIN}  # the operators\n"
UNAUTHENTICATED, DENIED = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED
QUERY = SearchRequest(query="송금", limit=3)


class Guarded(NamedTuple):
    """A server, and the file of its tokens."""

    server: ServerProcess
    tokens: Path


@pytest.fixture
def guarded(tmp_path: Path, tiny_bundle: Path) -> Iterator[Guarded]:
    tokens = tmp_path / "tokens"
    tokens.write_text(LINES, encoding="utf-8")
    with running_server(server_flags(tiny_bundle, SAMPLE_CATALOGUE, "--tokens", str(tokens))) as server:
        yield Guarded(server, tokens)
    log = "\n".join(server.lines)
    assert "Traceback" not in log
    for token in (SEARCH, OTHER_SEARCH, ADMIN, "wrong-token"):
        assert token not in log


@pytest.fixture
def channel(guarded: Guarded) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(guarded.server.address) as channel:
        yield channel


def bearer(token: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {token}")]


def methods(channel: grpc.Channel) -> list[tuple[Any, Any]]:
    client: Any = chaja.Client(channel)
    return [
        (client.search.Search, QUERY),
        (client.search.BatchSearch, BatchSearchRequest(requests=[QUERY])),
        (lambda request, **how: list(client.search.SearchStream(iter([request]), **how)), QUERY),
        (client.encode.Encode, EncodeRequest(texts=["a"])),
        (client.info.GetServerInfo, GetServerInfoRequest()),
        (AdminServiceStub(channel).Reload, ReloadRequest()),
    ]


def code_of(method: Any, request: Any, metadata: list[tuple[str, str]]) -> grpc.StatusCode:
    try:
        method(request, metadata=metadata, timeout=60)
    except grpc.RpcError as raised:
        error: Any = raised
        code: grpc.StatusCode = error.code()
        return code
    return grpc.StatusCode.OK


@pytest.mark.parametrize(
    "metadata",
    [[], bearer("wrong-token-0123456789"), bearer("x"), bearer(SEARCH[:-1]), [("authorization", SEARCH)]],
    ids=["none", "unknown", "too short", "cut short", "no scheme"],
)
def test_who_has_no_known_token_may_nothing(
    guarded: Guarded, channel: grpc.Channel, metadata: list[tuple[str, str]]
) -> None:
    calls = methods(channel)
    assert [code_of(method, request, metadata) for method, request in calls] == [UNAUTHENTICATED] * 6
    scrape_until(guarded.server.metrics_url, lambda found: total(found, HANDLED, grpc_code="Unauthenticated") == 6)


def test_a_role_covers_what_it_covers(channel: grpc.Channel) -> None:
    ok, calls = grpc.StatusCode.OK, methods(channel)
    assert [code_of(*call, bearer(SEARCH)) for call in calls] == [ok] * 5 + [DENIED]
    assert [code_of(*call, bearer(ADMIN)) for call in calls] == [ok] * 6
    assert code_of(*calls[0], [("authorization", f"bearer  {SEARCH}")]) == ok


@pytest.mark.parametrize(
    ("metadata", "reason"), [([], "TOKEN_MISSING_OR_UNKNOWN"), (bearer(SEARCH), "ROLE_INSUFFICIENT")]
)
def test_programs_are_told_why(channel: grpc.Channel, metadata: list[tuple[str, str]], reason: str) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        AdminServiceStub(channel).Reload(ReloadRequest(), metadata=tuple(metadata), timeout=60)
    error: Any = raised.value
    status = rpc_status.from_call(error)
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == (reason, "chaja")


def test_health_and_reflection_need_none(guarded: Guarded, channel: grpc.Channel) -> None:
    assert health_of(guarded.server.address, "") == 1
    assert "chaja.v1.SearchService" in ProtoReflectionDescriptorDatabase(channel).get_services()


def test_a_file_that_is_rotated_is_in_force_soon(guarded: Guarded, channel: grpc.Channel) -> None:
    search = methods(channel)[0]

    def wait_for(token: str, code: grpc.StatusCode) -> None:
        ends = time.monotonic() + 20
        while code_of(*search, bearer(token)) != code:
            assert time.monotonic() < ends
            time.sleep(0.05)

    assert code_of(*search, bearer(SEARCH)) == grpc.StatusCode.OK
    rotated = guarded.tokens.with_suffix(".new")
    rotated.write_text(LINES.replace(SEARCH, OTHER_SEARCH), encoding="utf-8")
    rotated.rename(guarded.tokens)
    wait_for(OTHER_SEARCH, grpc.StatusCode.OK)
    assert code_of(*search, bearer(SEARCH)) == UNAUTHENTICATED
    # What cannot be read changes nothing, and its tokens are not told either.
    guarded.tokens.write_text(f"search {SEARCH}\n", encoding="utf-8")
    ends = time.monotonic() + 20
    while not any(" ERROR " in line and "stay in force" in line for line in guarded.server.lines):
        assert code_of(*search, bearer(OTHER_SEARCH)) == grpc.StatusCode.OK
        assert time.monotonic() < ends
        time.sleep(0.05)
    assert code_of(*search, bearer(SEARCH)) == UNAUTHENTICATED


def test_files_that_are_wrong_are_one_line_and_an_exit_code(tiny_bundle: Path, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    secret = "x-secret-0123456789"

    def refused(path: Path) -> str:
        run = run_server(*server_flags(tiny_bundle, SAMPLE_CATALOGUE, "--tokens", str(path)))
        assert run.returncode == 1, run.stderr
        assert secret not in run.stderr
        return last_line(run)

    assert f"{file} cannot be read: No such file" in refused(file)
    assert f"{tmp_path} cannot be read: Is a directory" in refused(tmp_path)
    for contents, expected in (
        ("# none\n", "has no tokens"),
        (f"\nroot app {secret}\n", ":2: expected a role"),
        (f"search {secret}\n", ":1: expected a role"),
        ("search app short\n", ":1: a token has at least 16 characters"),
    ):
        file.write_text(contents, encoding="utf-8")
        assert expected in refused(file)


def test_what_others_may_reach_without_guard_is_warned_of(tiny_bundle: Path) -> None:
    with running_server(server_flags(tiny_bundle, SAMPLE_CATALOGUE, "--listen", "0.0.0.0:0")) as server:
        warnings = [line for line in server.lines if " WARNING " in line]
        for flag in ("--tls-certificate", "--tokens"):
            assert any("which others may reach" in line and flag in line for line in warnings)


def test_loopback_is_not_warned_of(tiny_server: ServerProcess) -> None:
    assert not [line for line in tiny_server.lines if "which others may reach" in line]


async def test_the_client_sends_its_token_with_every_call(guarded: Guarded) -> None:
    address = guarded.server.address
    with chaja.connect(address, token=SEARCH) as client:
        assert client.search.Search(QUERY).hits
        assert next(iter(client.search.SearchStream(iter([QUERY]), timeout=10))).response.hits
    async with chaja.connect_async(address, token=SEARCH) as async_client:
        assert (await async_client.search.Search(QUERY)).hits
        stream = async_client.search.SearchStream(iter([QUERY]), timeout=10)
        assert [answer.response.hits[0].document_id async for answer in stream]
