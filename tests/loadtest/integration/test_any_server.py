"""Any method of any server: from a .proto, with streams, payloads and tokens."""

import json
from pathlib import Path

import numpy as np
import pytest

from loadtest.codes import CODES, OK
from loadtest.errors import ExitCode
from loadtest.requests.descriptors import proto_descriptors
from tests.loadtest.integration.attacks import SUCCESSFUL, records_of, run_command
from tests.loadtest.pretend_server import pretend_server

PROTO = """
syntax = "proto3";
package shop;
service Orders {
  rpc Get(Order) returns (Order);
  rpc WatchStream(Order) returns (stream Order);
  rpc ChatStream(stream Order) returns (stream Order);
}
message Order { string text = 1; }
"""
QUICK = ("--warm-up", "0s", "--in-flight", "2", "--count", "12")


@pytest.fixture
def proto(tmp_path: Path) -> Path:
    (tmp_path / "shop.proto").write_text(PROTO)
    return tmp_path / "shop.proto"


def test_methods_with_streams_can_be_called(proto: Path, tmp_path: Path) -> None:
    queries, mix, out = (tmp_path / name for name in ("queries.txt", "mix.jsonl", "results.bin"))
    queries.write_text("one\ntwo\n")
    mix.write_text('{"call": "WatchStream"}\n{"call": "ChatStream", "queries_per_call": 4}\n')
    flags = ("--proto", str(proto), "--mix", str(mix), "--queries", str(queries), "--out", str(out))
    with pretend_server() as address:
        run = run_command("attack", address, *QUICK, *flags)
    assert run.returncode == ExitCode.OK, run.stderr + run.stdout
    records = records_of(out)
    assert set(records["call"]) == {0, 1}
    assert (records["request_bytes"] == np.where(records["call"], 20, 5)).all(), "a message for each query"
    assert (records["response_bytes"] == 3 * records["request_bytes"]).all()


def test_the_order_of_another_servers_stream_does_not_matter(proto: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.bin"
    flags = ("--proto", str(proto), "--call", "WatchStream", "--data", "{}", "--check-answers", "--out", str(out))
    orders = [b"\x0a\x01" + text for text in (b"a", b"b", b"c")]
    with pretend_server(answers=",".join(order.hex() for order in orders)) as address:
        run = run_command("attack", address, *QUICK, *flags)
    assert run.returncode in SUCCESSFUL, run.stderr
    assert (records_of(out)["same"] == 1).all()


def test_answers_that_vary_without_load_cannot_be_compared(proto: Path, tmp_path: Path) -> None:
    answers = ",".join((b"\x0a\x02" + str(number).encode()).hex() for number in range(10, 90))
    with pretend_server(answers=answers) as address:
        flags = ("--proto", str(proto), "--call", "Get", "--data", "{}", "--check-answers")
        run = run_command("attack", address, *QUICK, *flags)
    assert (run.returncode, run.stdout) == (ExitCode.FAILED, "")
    assert "cannot compare the answers of Get: they differ from call to call without load" in run.stderr


def test_checks_count_wrong_answers(proto: Path, tmp_path: Path) -> None:
    queries, mix, out = (tmp_path / name for name in ("queries.csv", "mix.json", "results.bin"))
    queries.write_text("text\none\ntwo\n")
    mix.write_text(
        '[{"call": "Get", "check": "text == \'\'"}, '
        '{"call": "WatchStream", "name": "watch", "check": ["text.size() == 3", "text == \'one\'"]}]'
    )
    flags = ("--proto", str(proto), "--mix", str(mix), "--queries", str(queries), "--out", str(out))
    asserted = ("--assert", "Get.failed_checks<=0%", "--assert", "watch.failed_checks<1%")
    with pretend_server() as address:
        run = run_command("attack", address, *QUICK, *flags, *asserted)
    assert run.returncode == ExitCode.ASSERTION, run.stderr + run.stdout
    records = records_of(out)
    assert (records["failed_checks"] == np.where((records["call"] == 1) & (records["query"] == 1), 0b10, 0)).all()
    shown = run.stdout.splitlines()
    assert any(line.split()[:4] == ["watch:", "text", "==", "'one'"] for line in shown)
    assert any("of the checked answers failed a check" in line for line in shown)
    report = json.loads(run_command("report", str(out), "--format", "json").stdout)
    checks = report["calls"][1]["checks"]
    assert [each["check"] for each in checks["each"]] == ["text.size() == 3", "text == 'one'"]
    assert checks["failed"] == checks["each"][1]["failed"] > checks["each"][0]["failed"] == 0


def test_random_payloads_do_not_depend_on_the_processes(proto: Path, tmp_path: Path) -> None:
    data = '{"text": "{{random_string 3}}{{random_choice a bb ccc dddd}}{{number}}"}'
    sizes = []
    for processes, seed in ((1, 0), (2, 0), (1, 1)):
        out = tmp_path / f"{processes}-{seed}.bin"
        flags = ["--proto", str(proto), "--call", "Get", "--data", data, "--out", str(out), "--seed", str(seed)]
        schedule = ["--profile", "0-100:500ms,200:250ms", "--warm-up", "0s", "--processes", str(processes)]
        with pretend_server() as address:
            run = run_command("attack", address, *schedule, *flags)
        assert run.returncode in SUCCESSFUL, run.stderr + run.stdout
        records = np.sort(records_of(out), order="number")
        assert len(records) == 75
        sizes.append(records["request_bytes"].tolist())
    assert sizes[0] == sizes[1] != sizes[2]


@pytest.mark.parametrize("header", ["x-id: {{uuid}}", "x-id-bin: {{random_bytes 8}}", "x-id: {{number}}"])
def test_headers_are_filled_for_each_request(proto: Path, tmp_path: Path, header: str) -> None:
    out = tmp_path / "results.bin"
    flags = ("--proto", str(proto), "--call", "Get", "--data", "{}", "--out", str(out), "--header", header)
    with pretend_server(unique_header=header.partition(":")[0]) as address:
        run = run_command("attack", address, *QUICK, *flags)
    assert run.returncode in SUCCESSFUL, run.stderr + run.stdout
    assert not records_of(out)["code"].any()


def test_a_call_of_a_mix_has_its_headers(proto: Path, tmp_path: Path) -> None:
    mix, out = tmp_path / "mix.jsonl", tmp_path / "results.bin"
    mix.write_text('{"call": "Get", "data": {}, "headers": {"x-id": "{{uuid}}"}}\n{"call": "Get", "data": {}}\n')
    with pretend_server(unique_header="x-id") as address:
        run = run_command("attack", address, *QUICK, "--proto", str(proto), "--mix", str(mix), "--out", str(out))
    records = records_of(out)
    assert set(records["call"]) == {0, 1}, run.stderr
    assert (records["code"] == np.where(records["call"], CODES.index("ALREADY_EXISTS"), OK)).all()
    assert b"x-id" in out.read_bytes()
    assert b"uuid" not in out.read_bytes(), "the value may be secret"


def test_a_protoset_describes_a_server(proto: Path, tmp_path: Path) -> None:
    protoset, out = tmp_path / "shop.protoset", tmp_path / "results.bin"
    protoset.write_bytes(proto_descriptors(proto).SerializeToString())
    with pretend_server() as address:
        flags = ("--protoset", str(protoset), "--call", "Orders/Get", "--data", '{"text": "a"}', "--out", str(out))
        run = run_command("attack", address, *QUICK, *flags)
    assert run.returncode in SUCCESSFUL, run.stderr + run.stdout
    assert (records_of(out)["request_bytes"] == 3).all()


def test_a_first_call_that_is_denied_ends_no_run_whose_others_are_permitted(proto: Path, tmp_path: Path) -> None:
    users, out = tmp_path / "users.jsonl", tmp_path / "results.bin"
    users.write_text(
        '{"text": "a", "token": "expired"}\n{"text": "b", "token": "good"}\n{"text": "c", "token": "good"}\n'
    )
    flags = ["--call", "Get", "--proto", str(proto), "--queries", str(users), "--out", str(out)]
    flags += ["--header", "authorization: Bearer {{token}}", "--rate", "1", "--count", "3", "--warm-up", "0s"]
    with pretend_server(token="good") as address:
        run = run_command("attack", address, *flags)
    assert run.returncode in SUCCESSFUL, run.stderr
    assert sorted(records_of(out)["code"].tolist()) == [0, 0, 16]


def test_payloads_and_token_are_sent_and_no_secret_is_stored(proto: Path, tmp_path: Path) -> None:
    payloads, out = tmp_path / "payloads.jsonl", tmp_path / "results.bin"
    payloads.write_text('{"text": "a"}\n{"text": "bcd"}\n')
    flags = ["--call", "Get", "--proto", str(proto), "--data-file", str(payloads), "--header", "x-tenant: seven"]
    with pretend_server(token="wonderful") as address:
        attack = ("attack", address, *QUICK, *flags, "--out", str(out))
        refused, left = run_command(*attack), out.exists()
        accepted = run_command(*attack, CHAJA_TOKEN="wonderful")
    assert not left
    assert (refused.returncode, refused.stdout) == (ExitCode.FAILED, "")
    assert refused.stderr.endswith("every call (UNAUTHENTICATED): set --token to a token that permits them\n")
    assert accepted.returncode == ExitCode.OK, accepted.stderr + accepted.stdout
    assert sorted(records_of(out)["request_bytes"]) == [3] * 6 + [5] * 6
    kept = out.read_bytes()
    assert b"x-tenant" in kept
    assert b"seven" not in kept
    assert b"wonderful" not in kept
