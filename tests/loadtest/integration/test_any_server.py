"""Any method of any server: learnt by reflection or from a .proto, over TLS, with tokens."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from loadtest.errors import ExitCode
from tests.loadtest.integration.attacks import records_of, run_command
from tests.loadtest.integration.shop_server import Shop, shop_server, write_protos

QUICK = ("--warm-up", "0s", "--in-flight", "2", "--count", "12")


@pytest.fixture
def proto(tmp_path: Path) -> Path:
    return write_protos(tmp_path)


@pytest.fixture
def shop(proto: Path) -> Iterator[tuple[str, Shop]]:
    with shop_server(proto) as running:
        yield running


def run(address: str, out: Path, *flags: str, **environment: str) -> str:
    result = run_command("attack", address, *QUICK, "--out", str(out), *flags, **environment)
    assert result.returncode == ExitCode.OK, result.stderr + result.stdout
    return result.stdout


def test_a_method_is_learnt_by_reflection_and_payloads_are_templates(shop: tuple[str, Shop], tmp_path: Path) -> None:
    data = '{"id": "order {{number}}", "count": "{{number}}", "items": [{"name": "fixed"}]}'
    run(shop[0], tmp_path / "results.bin", "--call", "shop.Orders/Get", "--data", data)
    assert sorted(request.count for request in shop[1].seen) == list(range(12))
    assert {request.id for request in shop[1].seen} == {f"order {number}" for number in range(12)}
    assert shop[1].seen[0].items[0].name == "fixed"


def test_a_data_file_has_whole_payloads(shop: tuple[str, Shop], tmp_path: Path) -> None:
    (tmp_path / "payloads.jsonl").write_text('{"id": "a"}\n{"id": "b", "count": 3}\n')
    flags = ("--call", "shop.Orders/Get", "--data-file", str(tmp_path / "payloads.jsonl"))
    run(shop[0], tmp_path / "results.bin", *flags)
    assert sorted((request.id, request.count) for request in shop[1].seen) == [("a", 0)] * 6 + [("b", 3)] * 6


def test_a_malformed_data_file_is_told_by_its_line(shop: tuple[str, Shop], tmp_path: Path) -> None:
    (tmp_path / "payloads.jsonl").write_text('{"id": "a"}\n{"id": \n')
    flags = ("--call", "shop.Orders/Get", "--data-file", str(tmp_path / "payloads.jsonl"))
    result = run_command("attack", shop[0], *QUICK, *flags)
    assert result.returncode == ExitCode.USAGE
    assert f"{tmp_path}/payloads.jsonl:2: not JSON" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_method_is_learnt_from_a_proto_where_there_is_no_reflection(proto: Path, tmp_path: Path) -> None:
    with shop_server(proto, with_reflection=False) as (address, shop):
        refused = run_command("attack", address, *QUICK, "--call", "shop.Orders/Get")
        assert refused.returncode == ExitCode.USAGE
        assert "has no reflection: name its .proto file with --proto" in refused.stderr
        run(address, tmp_path / "results.bin", "--call", "Get", "--proto", str(proto), "--data", '{"id": "x"}')
        assert len(shop.seen) == 12


@pytest.mark.parametrize(
    ("method", "sent", "received"), [("Get", 12, 12), ("Watch", 36, 36), ("Import", 48, 12), ("Chat", 48, 48)]
)
def test_streams_are_called_too(shop: tuple[str, Shop], tmp_path: Path, method: str, sent: int, received: int) -> None:
    (tmp_path / "queries.txt").write_text("one\ntwo\nthree\n")
    out = tmp_path / "results.bin"
    size = "4" if method in ("Import", "Chat") else "1"
    flags = ("--queries", str(tmp_path / "queries.txt"), "--queries-per-call", size)
    run(shop[0], out, "--call", f"shop.Orders.{method}", "--data", '{"id": "i", "text": "{{query}}"}', *flags)
    assert len(shop[1].seen) == sent
    assert {request.text for request in shop[1].seen} == {"one", "two", "three"}
    records = records_of(out)
    assert records["response_bytes"].sum() == received * 3 + (2 * 12 if method == "Import" else 0)


def test_an_unknown_method_is_told_with_those_that_there_are(shop: tuple[str, Shop]) -> None:
    result = run_command("attack", shop[0], *QUICK, "--call", "shop.Orders/Put")
    assert result.returncode == ExitCode.USAGE
    assert "there is no method shop.Orders/Put; there are: shop.Orders/Get" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_token_is_sent_and_not_kept(proto: Path, tmp_path: Path) -> None:
    with shop_server(proto, token="wonderful") as (address, shop):
        flags = ["--call", "Get", "--proto", str(proto), "--data", '{"id": "x"}', "--header", "x-Tenant: seven"]
        run(address, tmp_path / "results.bin", *flags, "--token", "wonderful")
        assert shop.metadata["x-tenant"] == "seven"
        run(address, tmp_path / "results.bin", *flags, CHAJA_TOKEN="wonderful")
        wrong = run_command("attack", address, *QUICK, "--out", str(tmp_path / "wrong.bin"), *flags)
    assert wrong.returncode == ExitCode.FAILED
    assert "NOT ONE CALL SUCCEEDED" in wrong.stdout
    assert "UNAUTHENTICATED" in wrong.stdout
    report = run_command("report", str(tmp_path / "results.bin"), "--format", "json")
    assert "wonderful" not in report.stdout
    assert "seven" not in report.stdout
    assert b"wonderful" not in (tmp_path / "results.bin").read_bytes()


def make_certificates(folder: Path) -> None:
    """Makes a self-signed authority, and a certificate of it for `shop.test` and for a client."""
    program = shutil.which("openssl")
    if program is None:
        assert not os.environ.get("CI"), "openssl is missing"
        pytest.skip("openssl is missing")

    def openssl(*arguments: str) -> None:
        subprocess.run([program, *arguments], cwd=folder, check=True, capture_output=True)

    new = ("-newkey", "rsa:2048", "-nodes")
    openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test authority", "-days", "2")
    (folder / "names").write_text("subjectAltName=DNS:shop.test")
    for name in ("server", "client"):
        openssl("req", *new, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
        openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signing)


def test_mutual_tls(proto: Path, tmp_path: Path) -> None:
    make_certificates(tmp_path)
    pair = (tmp_path / "server.key").read_bytes(), (tmp_path / "server.pem").read_bytes()
    authority = (tmp_path / "ca.pem").read_bytes()
    credentials = grpc.ssl_server_credentials([pair], authority, require_client_auth=True)
    with shop_server(proto, credentials=credentials) as (address, shop):
        flags = ["--call", "shop.Orders/Get", "--data", '{"id": "x"}', "--ca", str(tmp_path / "ca.pem")]
        flags += ["--authority", "shop.test"]
        client = ["--cert", str(tmp_path / "client.pem"), "--key", str(tmp_path / "client.key")]
        run(address, tmp_path / "results.bin", *flags, *client)
        assert len(shop.seen) == 12
        refused = run_command("attack", address, *QUICK, *flags, "--proto", str(proto))
        assert refused.returncode == ExitCode.FAILED
        assert "does not answer" in refused.stderr
    described = json.loads(run_command("report", str(tmp_path / "results.bin"), "--format", "json").stdout)
    assert described["runs"][0]["plan"]["target"]["tls"] is True
