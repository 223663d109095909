"""Streams under load: endless ones, and paced ones."""

import json
from pathlib import Path

from loadtest.errors import ExitCode
from tests.loadtest.integration.attacks import SUCCESSFUL, records_of, run_command
from tests.loadtest.pretend_server import pretend_server

PROTO = """
syntax = "proto3";
package test;
message Message { string text = 1; }
service Test { rpc Watch(Message) returns (stream Message); rpc Stream(stream Message) returns (stream Message); }
"""


def attack_streams(tmp_path: Path, address: str, method: str, *flags: str) -> tuple[int, str]:
    proto = tmp_path / "test.proto"
    proto.write_text(PROTO)
    queries = tmp_path / "queries.txt"
    queries.write_text("a\nb\nc\n")
    run = run_command(
        "attack", address, "--proto", str(proto), "--call", f"test.Test/{method}", "--queries", str(queries),
        "--rate", "10", "--duration", "2s", "--warm-up", "0s", "--out", str(tmp_path / "results.bin"), *flags,
    )  # fmt: skip
    return run.returncode, run.stdout + run.stderr


def test_an_endless_stream_is_measured_for_its_time_and_succeeds(tmp_path: Path) -> None:
    with pretend_server(delay=0.05) as address:
        code, said = attack_streams(
            tmp_path, address, "Watch", "--stream-duration", "500ms", "--assert", "errors<1%", "--assert", "messages>50"
        )
    assert code in SUCCESSFUL, said
    assert "from the send to the first message" in said
    records = records_of(tmp_path / "results.bin")
    assert len(records) == 20
    assert (records["code"] == 0).all()
    assert ((records["done_ns"] - records["sent_ns"]) >= 500_000_000).all()
    assert (records["response_messages"] >= 3).all()
    assert (records["gap_seconds"] >= 0.04).all()


def test_messages_of_a_stream_are_sent_at_an_interval(tmp_path: Path) -> None:
    with pretend_server() as address:
        code, said = attack_streams(
            tmp_path, address, "Stream", "--queries-per-call", "3", "--message-interval", "200ms"
        )
    assert code in SUCCESSFUL, said
    records = records_of(tmp_path / "results.bin")
    assert (records["request_messages"] == 3).all()
    assert (records["response_messages"] == 9).all()
    assert ((records["done_ns"] - records["sent_ns"]) >= 400_000_000).all()


def test_a_time_beyond_the_deadline_is_rejected(tmp_path: Path) -> None:
    code, said = attack_streams(tmp_path, "127.0.0.1:1", "Watch", "--stream-duration", "20s")
    assert code == ExitCode.USAGE
    assert "raise --deadline" in said


def test_json_has_the_messages_of_streams(tmp_path: Path) -> None:
    with pretend_server() as address:
        attack_streams(tmp_path, address, "Stream", "--queries-per-call", "2")
    report = json.loads(run_command("report", str(tmp_path / "results.bin"), "--format", "json").stdout)
    streams = report["all"]["streams"]
    assert (streams["calls"], streams["messages_sent"], streams["messages_received"]) == (20, 40, 120)
