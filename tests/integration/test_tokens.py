import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

import grpc
import pytest
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

import chaja
from chaja.v1 import (
    AdminServiceStub,
    BatchSearchRequest,
    Document,
    EncodeRequest,
    GetServerInfoRequest,
    ImportDocumentsRequest,
    ListDocumentsRequest,
    LocalizedText,
    ReloadRequest,
    SearchRequest,
    Upsert,
    WatchChangesRequest,
)
from sample.server_process import ServerProcess
from tests.integration.errors import code_of
from tests.integration.scraping import HANDLED, Samples, scrape, scrape_until, total
from tests.integration.serving import health_of, sample_server, start_error, wait_for_line, wait_until

SEARCH, OTHER_SEARCH, ADMIN = "search-token-0123456789", "another-search-token-01", "admin-token-0123456789"
WRITE = "write-token-0123456789"
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


def open_streams(client: Any, requests: list[SimpleQueue[Any]]) -> list[Any]:
    """Opens one stream of each kind; returns the calls, each after its first answer."""
    searches, imports = requests
    streams = [
        client.search.SearchStream(iter(searches.get, None), metadata=bearer(WRITE)),
        client.catalog.ImportDocuments(iter(imports.get, None), metadata=bearer(WRITE)),
        client.catalog.WatchChanges(WatchChangesRequest(), metadata=bearer(WRITE)),
    ]
    searches.put(QUERY)
    imports.put(ImportDocumentsRequest(import_id="list"))
    for stream in streams:
        next(stream)
    return streams


@pytest.mark.parametrize("messages", [False, True], ids=["idle", "busy"])
def test_open_streams_end_soon_after_their_token_is_removed(tiny_bundle: Path, tmp_path: Path, messages: bool) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"{LINES}write importer {WRITE}\n", encoding="utf-8")
    (tmp_path / "data").mkdir()
    flags = ("--tokens", str(tokens), "--data", str(tmp_path / "data"))
    with sample_server(tiny_bundle, *flags) as server, grpc.insecure_channel(server.address) as channel:
        client: Any = chaja.Client(channel)
        requests: list[SimpleQueue[Any]] = [SimpleQueue(), SimpleQueue()]
        streams = open_streams(client, requests)
        with ThreadPoolExecutor(3) as pool:
            ended = [pool.submit(code_of, list, stream) for stream in streams]
            tokens.write_text(LINES, encoding="utf-8")
            removed = time.monotonic()
            written = 0
            while time.monotonic() < removed + 6 and not all(each.done() for each in ended):
                if messages:
                    requests[0].put(QUERY)
                    upserts = [Upsert(document=Document(id=f"message {written}", titles=[LocalizedText(text="환율")]))]
                    requests[1].put(ImportDocumentsRequest(upserts=upserts))
                    written += 1
                time.sleep(0.1)
            in_time = [each.done() for each in ended]
            for stream in streams:
                stream.cancel()
        assert in_time == [True] * 3
        assert [each.result() for each in ended] == [UNAUTHENTICATED] * 3
        for each in requests:
            each.put(None)
        page = client.catalog.ListDocuments(ListDocumentsRequest(page_size=1000), metadata=bearer(ADMIN), timeout=30)
        assert sum(each.id.startswith("message") for each in page.documents) <= 15, "those of about a second"


def test_no_token_is_valid_once_the_file_is_emptied(tiny_bundle: Path, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(LINES, encoding="utf-8")
    with (
        sample_server(tiny_bundle, "--tokens", str(tokens)) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        search = methods(channel)[0]
        assert code_of(*search, metadata=bearer(SEARCH), timeout=60) == OK
        tokens.write_text("# none\n", encoding="utf-8")
        wait_until(lambda: code_of(*search, metadata=bearer(SEARCH), timeout=60) == UNAUTHENTICATED, seconds=5)
        assert code_of(*search, metadata=bearer(ADMIN), timeout=60) == UNAUTHENTICATED
        wait_for_line(server, " WARNING ", "has no tokens: no token is valid")


def test_an_invalid_file_is_reported_in_one_line_without_its_tokens(tiny_bundle: Path, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("\nroot app x-secret-0123456789\n", encoding="utf-8")
    line = start_error(tiny_bundle, "--tokens", file)
    assert ":2: expected a role" in line
    assert "x-secret" not in line
    assert f"{tmp_path} is not a regular file" in start_error(tiny_bundle, "--tokens", tmp_path)


def test_an_unprotected_address_is_warned_about(tiny_bundle: Path, tiny_server: ServerProcess) -> None:
    with sample_server(tiny_bundle, "--listen", "0.0.0.0:0") as server:
        warnings = [line for line in server.lines if " WARNING " in line]
        for flag in ("--tls-certificate", "--tokens"):
            assert any("which other machines may reach" in line and flag in line for line in warnings)
    assert not [line for line in tiny_server.lines if "which other machines may reach" in line], "it is on the loopback"
