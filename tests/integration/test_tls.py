import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest

import chaja
from chaja.v1 import SearchRequest
from sample.server_process import ServerProcess
from tests.integration.certificates import Authority, Pair
from tests.integration.scraping import scrape, value
from tests.integration.serving import sample_server, wait_for_line, wait_until


class Secured(NamedTuple):
    """A server, and the files of its certificate, which it reads again when they change."""

    server: ServerProcess
    served: Pair


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ours"), "ours")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("theirs"), "theirs")


@contextmanager
def secured(directory: Path, bundle: Path, pair: Pair, client_ca: Path | None = None) -> Iterator[Secured]:
    served = Pair(directory / "served.pem", directory / "served.key")
    served.replace(pair)
    tls = ["--tls-certificate", str(served.certificate), "--tls-key", str(served.key)]
    tls += ["--tls-client-ca", str(client_ca)] if client_ca is not None else []
    with sample_server(bundle, *tls) as server:
        yield Secured(server, served)


def connected(server: ServerProcess, credentials: grpc.ChannelCredentials | None) -> grpc.Channel:
    alone = [("grpc.use_local_subchannel_pool", 1)]
    if credentials is None:
        return grpc.insecure_channel(server.address, options=alone)
    return grpc.secure_channel(server.address, credentials, options=alone)


def search(channel: grpc.Channel, seconds: float = 20) -> int:
    stub: Any = chaja.Client(channel).search
    return len(stub.Search(SearchRequest(query="송금", limit=3), timeout=seconds).hits)


def served_to(server: ServerProcess, credentials: grpc.ChannelCredentials | None) -> bool:
    """Returns whether a new connection is served; otherwise it must fail because of its certificates."""
    with connected(server, credentials) as channel:
        try:
            return search(channel) == 3
        except grpc.RpcError as raised:
            error: Any = raised
            assert error.code() == grpc.StatusCode.UNAVAILABLE
            return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path, ours: Authority) -> Iterator[ServerProcess]:
    with secured(tmp_path_factory.mktemp("plain"), tiny_bundle, ours.signed("plain")) as (server, _):
        yield server


def test_a_client_that_trusts_the_server_is_served(server: ServerProcess, ours: Authority, theirs: Authority) -> None:
    assert served_to(server, ours.credentials())
    assert not served_to(server, theirs.credentials())
    assert not served_to(server, None)
    with chaja.connect(server.address, credentials=ours.credentials()) as client:
        assert len(list(client.search.SearchStream(iter([SearchRequest(query="a")] * 40), timeout=30))) == 40


def test_only_clients_with_the_right_certificate_are_served(
    tmp_path: Path, tiny_bundle: Path, ours: Authority, theirs: Authority
) -> None:
    client_ca = theirs.pair.certificate
    with secured(tmp_path, tiny_bundle, ours.signed("mutual"), client_ca) as (server, _):
        assert served_to(server, ours.credentials(theirs.signed("client")))
        assert not served_to(server, ours.credentials())
        assert not served_to(server, ours.credentials(ours.signed("stranger")))
        assert not served_to(server, ours.credentials(theirs.signed("expired", days=-1)))
        assert served_to(server, ours.credentials(theirs.signed("another client")))


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
def test_failed_handshakes_are_counted_by_reason(
    tmp_path: Path, tiny_bundle: Path, ours: Authority, theirs: Authority
) -> None:
    client_ca = theirs.pair.certificate
    attempts: dict[str, list[grpc.ChannelCredentials | None]] = {
        "no_tls": [None],
        "no_client_certificate": [ours.credentials()],
        "client_certificate_invalid": [
            ours.credentials(ours.signed("stranger")),
            ours.credentials(theirs.signed("expired", days=-1)),
        ],
    }

    with secured(tmp_path, tiny_bundle, ours.signed("mutual"), client_ca) as (server, _):

        def refused(reason: str) -> float:
            return value(scrape(server.metrics_url), "chaja_refused_total", reason=reason)

        assert served_to(server, ours.credentials(theirs.signed("client")))
        assert [refused(reason) for reason in attempts] == [0] * 3
        for reason, credentials in attempts.items():
            for each in credentials:
                before = refused(reason)
                assert not served_to(server, each)
                wait_until(lambda: refused(reason) > before)  # noqa: B023  it is called at once
        with socket.create_connection(tuple(server.address.split(":")), timeout=10) as plain:  # type: ignore[arg-type]
            before = refused("no_tls")
            plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert plain.recv(100) == b""
            wait_until(lambda: refused("no_tls") == before + 1)
        assert offered(server.address, ours, "ALL", ssl.TLSVersion.TLSv1_1) is None
        wait_until(lambda: refused("handshake_failed") == 1)
        lines = [line for line in server.lines if "server.audit: refused" in line]
        reasons = {line.partition("reason=")[2].split()[0] for line in lines}
        assert reasons == {*attempts, "handshake_failed"}
        assert len(lines) <= 8, "each reason at most once in ten seconds"
        assert not [line for line in server.lines if ".cc:" in line]


def days_left(server: ServerProcess) -> int:
    """Returns the days until the server's certificate expires."""
    expiry_seconds = value(scrape(server.metrics_url), "chaja_certificate_expiry_timestamp_seconds")
    return round((expiry_seconds - time.time()) / 86400)


def test_a_rotated_certificate_is_used_for_new_connections(
    tmp_path: Path, tiny_bundle: Path, ours: Authority, theirs: Authority
) -> None:
    with secured(tmp_path, tiny_bundle, ours.signed("first")) as (server, served):
        assert days_left(server) == 2
        with connected(server, ours.credentials()) as old:
            assert search(old) == 3
            served.replace(theirs.signed("second"))
            assert served_to(server, theirs.credentials())
            assert not served_to(server, ours.credentials())
            assert search(old) == 3, "an open connection still works"
        assert any("read the certificate" in line for line in server.lines)
        served.certificate.write_text("-----BEGIN CERTIFICATE-----\nnone\n")
        assert served_to(server, theirs.credentials()), "a broken rotation keeps the old certificate"
        wait_for_line(server, " ERROR ", "the previous certificate stays in use")
        served.certificate.unlink()
        assert served_to(server, theirs.credentials())
        served.replace(ours.signed("third", days=30))
        assert days_left(server) == 30, "it does not take a connection to notice"
        assert served_to(server, ours.credentials())


def offered(address: str, authority: Authority, ciphers: str, version: ssl.TLSVersion) -> str | None:
    """Returns the cipher that a server accepts from a client with only these ciphers; None if it rejects them."""
    context = ssl.create_default_context(cafile=str(authority.pair.certificate))
    context.minimum_version = context.maximum_version = version
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    context.set_alpn_protocols(["h2"])
    host, port = address.split(":")
    try:
        with (
            socket.create_connection((host, int(port)), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as secured,
        ):
            assert secured.selected_alpn_protocol() == "h2"
            return (secured.cipher() or ("",))[0]
    except (ssl.SSLError, ConnectionError):
        return None


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
def test_old_tls_versions_and_unauthenticated_ciphers_are_rejected(server: ServerProcess, ours: Authority) -> None:
    aead = "ECDHE-ECDSA-AES128-GCM-SHA256"
    assert offered(server.address, ours, aead, ssl.TLSVersion.TLSv1_2) == aead
    assert offered(server.address, ours, "ALL", ssl.TLSVersion.TLSv1_3) is not None
    for cbc in ("ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-AES128-SHA256"):
        assert offered(server.address, ours, cbc, ssl.TLSVersion.TLSv1_2) is None
    for old in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        assert offered(server.address, ours, "ALL", old) is None
