"""Errors inside OK answers, of Chaja's server and of others, count as errors of their code."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.rpc.status_pb2 import Status

from loadtest.analysis.summary import summarize
from loadtest.errors import ExitCode
from sample.server_process import ServerProcess, running_server
from tests.conftest import SAMPLE_CATALOGUE, server_flags
from tests.loadtest.integration.attacks import records_of, run_command
from tests.loadtest.pretend_server import pretend_server

PROTO = """
syntax = "proto3";
package shop;
service Orders {
  rpc Get(Order) returns (Orders_);
  rpc WatchStream(Order) returns (stream Orders_);
}
message Order { string id = 1; Fault fault = 2; }
message Orders_ { repeated Order orders = 1; }
message Fault { int32 code = 1; string message = 2; }
"""
GOOD, GONE = b"\x0a\x03\x0a\x01a", b"\x0a\x0b\x12\x09\x08\x0e\x12\x05stock"
"""Answers with an order, and with an order that has the fault 14, UNAVAILABLE."""

QUICK = ("--warm-up", "0s", "--in-flight", "2", "--count", "12")


@pytest.fixture(scope="module")
def writable_server(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    store = tmp_path_factory.mktemp("store")
    with running_server(server_flags(tiny_bundle, SAMPLE_CATALOGUE, "--data", str(store))) as server:
        yield server


def outcomes(path: Path) -> dict[str, int]:
    return {code: outcome.count for code, outcome in summarize([path]).total.outcomes.items()}


def test_a_stream_of_errors_misses_its_objective(tiny_server: ServerProcess, tmp_path: Path) -> None:
    out = tmp_path / "results.bin"
    flags = ["--call", "SearchStream", "--data", '{"query": ""}', "--queries-per-call", "3", "--assert", "errors<1%"]
    run = run_command("attack", tiny_server.address, *QUICK, *flags, "--out", str(out))
    assert run.returncode == ExitCode.ASSERTION, run.stderr
    assert outcomes(out) == {"INVALID_ARGUMENT": 12}
    assert "12 calls ended with OK and an ERROR INSIDE THE ANSWER" in run.stdout
    assert re.search(r"INVALID_ARGUMENT +12 +in the answer: query: is empty", run.stdout), run.stdout
    assert re.search(r"parts of answers with an error, of 36 +36 +100.00%", run.stdout), run.stdout


def test_one_refused_document_of_two_fails_the_call(writable_server: ServerProcess, tmp_path: Path) -> None:
    out = tmp_path / "results.bin"
    good = {"id": "a", "titles": [{"text": "a card", "language_code": "en"}]}
    data = json.dumps({"upserts": [{"document": good}, {"document": {"id": "empty"}}]})
    flags = ["--call", "UpsertDocuments", "--data", data]
    flags += ["--assert", "failed_parts<60%", "--assert", "failed_parts>40%"]
    run = run_command("attack", writable_server.address, *QUICK, *flags, "--out", str(out))
    assert outcomes(out) == {"INVALID_ARGUMENT": 12}
    assert run.stdout.count(" met ") == 2, run.stdout
    report = run_command("report", str(out), "--format", "json")
    parts = json.loads(report.stdout)["all"]
    assert (parts["failed_answers"], parts["parts"], parts["failed_parts"]) == (12, 24, 12)


def test_feedback_on_unknown_documents_fails(writable_server: ServerProcess, tmp_path: Path) -> None:
    out = tmp_path / "results.bin"
    event = {"search_id": "s", "query": "q", "document_id": "no such", "kind": "FEEDBACK_KIND_CLICKED", "user_key": "u"}
    flags = ["--call", "RecordFeedback", "--data", json.dumps({"events": [event]}), "--out", str(out)]
    run = run_command("attack", writable_server.address, *QUICK, *flags)
    assert outcomes(out) == {"NOT_FOUND": 12}, run.stderr


@pytest.fixture
def proto(tmp_path: Path) -> Path:
    (tmp_path / "shop.proto").write_text(PROTO)
    return tmp_path / "shop.proto"


@pytest.mark.parametrize("call", ["Get", "WatchStream"])
def test_a_path_names_the_errors_of_another_server(proto: Path, tmp_path: Path, call: str) -> None:
    out = tmp_path / "results.bin"
    flags = ["--proto", str(proto), "--call", call, "--error-field", "orders.fault", "--out", str(out)]
    with pretend_server(answers=f"{GOOD.hex()},{GONE.hex()}") as address:
        run = run_command("attack", address, *QUICK, *flags, "--assert", "errors<1%")
        assert run.returncode == ExitCode.ASSERTION, run.stderr
        assert outcomes(out) == ({"OK": 6, "UNAVAILABLE": 6} if call == "Get" else {"UNAVAILABLE": 12})
        assert "in the answer: stock" in run.stdout
        assert (records_of(out)["parts"] == (1 if call == "Get" else 2)).all()
        run = run_command("attack", address, *QUICK, *flags, "--error-field", "orders.flaw")
    assert run.returncode == ExitCode.USAGE
    assert run.stderr.startswith(
        "loadtest: error: --error-field orders.flaw: no answer has this field: shop.Orders_ has"
    )


def test_a_status_inside_an_answer_is_found_without_a_path_and_denies_no_run(tmp_path: Path) -> None:
    out, proto = tmp_path / "results.bin", tmp_path / "a.proto"
    proto.write_text("""
        syntax = "proto3"; package a; import "google/protobuf/any.proto";
        service S { rpc M(R) returns (R); }
        message R { Status status = 1; }
        message Status { int32 code = 1; string message = 2; repeated google.protobuf.Any details = 3; }
    """)
    denied = Status(code=7, message="not yours").SerializeToString()
    answer = (b"\x0a" + bytes([len(denied)]) + denied).hex()
    flags = ["--proto", str(proto), "--call", "M", "--out", str(out)]
    with pretend_server(answers=answer) as address:
        run = run_command("attack", address, *QUICK, *flags)
        assert outcomes(out) == {"PERMISSION_DENIED": 12}, run.stderr
        run = run_command("attack", address, *QUICK, *flags, "--error-field", "none")
    assert outcomes(out) == {"OK": 12}, run.stderr


def test_a_malformed_answer_is_an_error_even_if_nothing_is_read(proto: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.bin"
    with pretend_server(answers=f"{GOOD.hex()},ff") as address:
        run = run_command("attack", address, *QUICK, "--proto", str(proto), "--call", "Get", "--out", str(out))
    assert outcomes(out) == {"OK": 6, "INTERNAL": 6}, run.stderr
    assert "the answer is not a message of the method's type" in run.stdout
