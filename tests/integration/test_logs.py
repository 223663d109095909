"""The log of a real server: its formats, the lines about calls, and a log that cannot be written."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import grpc
import pytest

import chaja
from chaja.v1 import (
    BatchSearchRequest,
    DeleteDocumentsRequest,
    Document,
    EncodeRequest,
    GetServerInfoRequest,
    ImportDocumentsRequest,
    LocalizedText,
    ReloadRequest,
    SearchRequest,
    Upsert,
    UpsertDocumentsRequest,
)
from sample.server_process import REPOSITORY, ServerProcess
from tests.conftest import SAMPLE_CATALOGUE, server_flags
from tests.integration import slow_server
from tests.integration.errors import code_of
from tests.integration.scraping import scrape_until, value
from tests.integration.serving import run_server, sample_server, start_error, wait_until
from tests.ports import free_ports
from tests.server.rpc.served_calls import bearer

SEARCH = "chaja.v1.SearchService/Search"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def lines_of(server: ServerProcess, logger: str) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, list(server.lines)) if line["logger"] == logger]


def wait_for_lines(server: ServerProcess, logger: str, count: int) -> list[dict[str, Any]]:
    wait_until(lambda: len(lines_of(server, logger)) >= count)
    return lines_of(server, logger)


def test_every_line_is_json_and_every_call_is_in_the_access_log(tiny_bundle: Path, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"search mobile-app {'s' * 16}\n", encoding="utf-8")
    flags = ("--log-format", "json", "--access-log", "all", "--tokens", str(tokens))
    with sample_server(tiny_bundle, *flags) as server, chaja.connect(server.address) as client:
        mine = bearer("s" * 16)
        ids = (("x-request-id", "mine-1"), ("traceparent", f"00-{TRACE}-00f067aa0ba902b7-00"))
        _, call = client.search.Search.with_call(SearchRequest(query="송금"), metadata=(*mine, *ids))
        assert ("x-request-id", "mine-1") in call.trailing_metadata()
        client.search.BatchSearch(BatchSearchRequest(requests=[SearchRequest(query="a")] * 2), metadata=mine)
        assert len(list(client.search.SearchStream(iter([SearchRequest(query="a")] * 3), metadata=mine))) == 3
        with pytest.raises(grpc.RpcError) as raised:
            client.search.Search(SearchRequest(query=""), metadata=(*mine, ("x-request-id", "two words")))
        error: Any = raised.value
        made = dict(error.trailing_metadata())["x-request-id"]
        assert code_of(client.search.Search, SearchRequest(query="a")) is grpc.StatusCode.UNAUTHENTICATED
        lines = wait_for_lines(server, "server.access", 5)
        (refused,) = wait_for_lines(server, "server.audit", 1)
    search, batch, stream, invalid, stranger = lines
    assert [line["code"] for line in lines] == ["OK", "OK", "OK", "INVALID_ARGUMENT", "UNAUTHENTICATED"]
    assert (search["method"], search["token"], search["level"]) == (SEARCH, "mobile-app", "INFO")
    assert (search["request_id"], search["trace_id"]) == ("mine-1", TRACE)
    assert search["peer"].startswith("ipv4:127.0.0.1:")
    assert search["request_bytes"] == SearchRequest(query="송금").ByteSize()
    assert 0 < search["duration_seconds"] < 60
    assert batch["response_bytes"] > search["response_bytes"] > 0
    assert stream["request_bytes"] == 3 * SearchRequest(query="a").ByteSize()
    assert (invalid["reason"], invalid["request_id"]) == ("INVALID_REQUEST", made)
    assert "trace_id" not in invalid
    assert (stranger["reason"], "token" in stranger) == ("TOKEN_MISSING_OR_UNKNOWN", False)
    assert (refused["reason"], refused["request_id"]) == ("token_missing", stranger["request_id"])
    assert "s" * 16 not in "".join(server.lines)
    messages = [json.loads(line)["message"] for line in server.lines]
    assert messages[-1] == "stopped", "the last line is written"


def test_the_audit_log_names_who_wrote_and_who_reloaded(tiny_bundle: Path, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"write importer {'w' * 16}\nadmin operator {'a' * 16}\n", encoding="utf-8")
    flags = ("--log-format", "json", "--data", str(tmp_path / "data"), "--tokens", str(tokens))
    with sample_server(tiny_bundle, *flags) as server, chaja.connect(server.address) as client:
        writer, admin = bearer("w" * 16), bearer("a" * 16)
        documents = [Upsert(document=Document(id=f"d{n}", titles=[LocalizedText(text="a")])) for n in range(3)]
        invalid = Upsert(document=Document(id="", titles=[LocalizedText(text="a")]))
        client.catalog.UpsertDocuments(UpsertDocumentsRequest(upserts=[*documents, invalid]), metadata=writer)
        client.catalog.UpsertDocuments(UpsertDocumentsRequest(upserts=documents[:2]), metadata=writer)
        deletes = [DeleteDocumentsRequest().deletes.add(id="d0")]
        client.catalog.DeleteDocuments(DeleteDocumentsRequest(deletes=deletes), metadata=writer)
        imports = [ImportDocumentsRequest(import_id="i"), ImportDocumentsRequest(upserts=documents)]
        assert len(list(client.catalog.ImportDocuments(iter(imports), metadata=writer))) == 2
        client.admin.Reload(ReloadRequest(), metadata=admin)
        assert code_of(client.admin.Reload, ReloadRequest(), metadata=writer) is grpc.StatusCode.PERMISSION_DENIED
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: any(line.get("source") == "SIGHUP" for line in lines_of(server, "server.audit")))
        lines = lines_of(server, "server.audit")
    counts = [
        (line["message"], line.get("changed", 0), line.get("unchanged", 0), line.get("failed", 0)) for line in lines
    ]
    assert counts[:5] == [
        ("write", 3, 0, 1),
        ("write", 0, 2, 0),
        ("delete", 1, 0, 0),
        ("import", 1, 2, 0),
        ("reload", 0, 0, 0),
    ]
    assert [line["token"] for line in lines[:5]] == [*["importer"] * 4, "operator"]
    assert [(line["message"], line["token"]) for line in lines if line.get("reason") == "role_insufficient"] == [
        ("refused", "importer")
    ]
    assert (lines[-1]["source"], lines[-1]["result"]) == ("SIGHUP", "ok")


@pytest.mark.parametrize("shown", [False, True])
def test_slow_queries_are_logged_with_their_stages(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, shown: bool
) -> None:
    monkeypatch.setenv(slow_server.SECONDS_PER_TOKEN, "0.3")
    flags = ("--log-format", "json", "--slow-query-seconds", "0.3", "--log-texts", "on" if shown else "off")
    with (
        sample_server(tiny_bundle, *flags, module=slow_server.MODULE) as server,
        chaja.connect(server.address) as client,
    ):
        client.search.Search(SearchRequest(query="비밀", limit=3), timeout=60)
        client.search.Search(SearchRequest(query="비밀", limit=3), timeout=60)  # Cached, and so not slow.
        client.encode.Encode(EncodeRequest(texts=["다른"]))
        code = code_of(client.search.Search, SearchRequest(query="나쁜 일"), timeout=0.5)
        assert code in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED)
        line = wait_for_lines(server, "server.slow", 1)[0]
    assert line["encode_seconds"] >= 0.3
    assert line["duration_seconds"] >= line["encode_seconds"]
    assert {"tokenize_seconds", "queue_seconds", "search_seconds", "fetch_seconds"} <= line.keys()
    assert (line["method"], line["mode"], line["batch_texts"], line["hits"]) == (SEARCH, "dense", 1, 3)
    assert (line["level"], line["query_characters"], line.get("query")) == ("WARNING", 2, "비밀" if shown else None)
    assert line["request_id"]
    assert ("비밀" in "".join(server.lines)) is shown
    assert len([each for each in lines_of(server, "server.slow") if each["query_characters"] == 2]) == 1


def test_an_error_at_the_start_is_the_last_line(tiny_bundle: Path, tmp_path: Path) -> None:
    missing = tmp_path / "none.jsonl"
    assert start_error(tiny_bundle, catalogue=missing).startswith("server: error: ")
    run = run_server(*server_flags(tiny_bundle, missing, "--log-format", "json"))
    assert run.returncode == 1
    line = json.loads(run.stderr.splitlines()[-1])
    assert line["level"] == "CRITICAL"
    assert str(missing) in line["message"]


def test_searches_continue_while_nothing_reads_the_log_and_the_server_stops_in_time(tiny_bundle: Path) -> None:
    ports = free_ports(2)
    addresses = ["--listen", f"127.0.0.1:{ports[0]}", "--metrics", f"127.0.0.1:{ports[1]}"]
    flags = [*server_flags(tiny_bundle, SAMPLE_CATALOGUE), *addresses, "--access-log", "all"]
    reading, writing = os.pipe()  # Nothing reads it.
    with subprocess.Popen([sys.executable, "-m", "server", *flags], cwd=REPOSITORY, stderr=writing) as process:
        os.close(writing)
        try:
            with chaja.connect(f"127.0.0.1:{ports[0]}") as client:
                search = SearchRequest(query="송금", limit=3)
                client.search.Search(search, timeout=60, wait_for_ready=True)
                calls = [client.info.GetServerInfo.future(GetServerInfoRequest(), timeout=60) for _ in range(9000)]
                assert all(call.result().server_version for call in calls)
                assert client.search.Search(search, timeout=60).hits
            metrics = f"http://127.0.0.1:{ports[1]}/metrics"
            scrape_until(metrics, lambda found: value(found, "chaja_log_lines_dropped_total"))
            started = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
            assert time.monotonic() - started < 15
        finally:
            process.kill()
            os.close(reading)
