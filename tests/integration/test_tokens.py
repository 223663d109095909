from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

import chaja
from chaja.v1 import (
    AdminServiceStub,
    BatchSearchRequest,
    EncodeRequest,
    GetServerInfoRequest,
    ReloadRequest,
    SearchRequest,
)
from sample.server_process import ServerProcess
from tests.integration.errors import code_of
from tests.integration.scraping import HANDLED, Samples, scrape, scrape_until, total
from tests.integration.serving import health_of, sample_server, start_error, wait_until

SEARCH, OTHER_SEARCH, ADMIN = "search-token-0123456789", "another-search-token-01", "admin-token-0123456789"
LINES = f"# who may do what\nsearch app {SEARCH}\nadmin ops {ADMIN}  # the operators\n"
OK, DENIED = grpc.StatusCode.OK, grpc.StatusCode.PERMISSION_DENIED
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
QUERY = SearchRequest(query="송금", limit=3)


class Guarded(NamedTuple):
    """A server and its token file."""

    server: ServerProcess
    tokens: Path


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Iterator[Guarded]:
    tokens = tmp_path_factory.mktemp("guarded") / "tokens"
    tokens.write_text(LINES, encoding="utf-8")
    with sample_server(tiny_bundle, "--tokens", str(tokens)) as server:
        yield Guarded(server, tokens)
    log = "\n".join(server.lines)
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


@pytest.mark.parametrize("metadata", [[], bearer("wrong-token-0123456789")], ids=["none", "unknown"])
def test_every_method_rejects_a_call_without_a_known_token(
    guarded: Guarded, channel: grpc.Channel, metadata: list[tuple[str, str]]
) -> None:
    def refused(found: Samples) -> float:
        return total(found, HANDLED, grpc_code="Unauthenticated")

    before = refused(scrape(guarded.server.metrics_url))
    codes = [code_of(*call, metadata=metadata, timeout=60) for call in methods(channel)]
    assert codes == [UNAUTHENTICATED] * 6
    scrape_until(guarded.server.metrics_url, lambda found: refused(found) == before + 6)


@pytest.mark.parametrize(("token", "last"), [(SEARCH, DENIED), (ADMIN, OK)], ids=["search", "admin"])
def test_a_role_covers_its_methods(channel: grpc.Channel, token: str, last: grpc.StatusCode) -> None:
    codes = [code_of(*call, metadata=bearer(token), timeout=60) for call in methods(channel)]
    assert codes == [OK] * 5 + [last]


def test_health_and_reflection_need_no_token(guarded: Guarded, channel: grpc.Channel) -> None:
    assert health_of(guarded.server.address) == 1
    assert "chaja.v1.SearchService" in ProtoReflectionDescriptorDatabase(channel).get_services()


def test_rotated_tokens_are_valid_soon(guarded: Guarded, channel: grpc.Channel) -> None:
    search = methods(channel)[0]

    def code(token: str) -> grpc.StatusCode:
        return code_of(*search, metadata=bearer(token), timeout=60)

    assert code(SEARCH) == OK
    rotated = guarded.tokens.with_suffix(".new")
    rotated.write_text(LINES.replace(SEARCH, OTHER_SEARCH), encoding="utf-8")
    rotated.rename(guarded.tokens)
    wait_until(lambda: code(OTHER_SEARCH) == OK)
    assert code(SEARCH) == UNAUTHENTICATED


def test_an_invalid_file_is_reported_in_one_line_without_its_tokens(tiny_bundle: Path, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("\nroot app x-secret-0123456789\n", encoding="utf-8")
    line = start_error(tiny_bundle, "--tokens", file)
    assert ":2: expected a role" in line
    assert "x-secret" not in line
    assert f"{tmp_path} cannot be read: Is a directory" in start_error(tiny_bundle, "--tokens", tmp_path)


def test_an_unprotected_address_is_warned_about(tiny_bundle: Path, tiny_server: ServerProcess) -> None:
    with sample_server(tiny_bundle, "--listen", "0.0.0.0:0") as server:
        warnings = [line for line in server.lines if " WARNING " in line]
        for flag in ("--tls-certificate", "--tokens"):
            assert any("which other machines may reach" in line and flag in line for line in warnings)
    assert not [line for line in tiny_server.lines if "which other machines may reach" in line], "it is on the loopback"
