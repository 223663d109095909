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
from sample.server_process import ServerProcess, running_server
from tests.conftest import SAMPLE_CATALOGUE, server_flags
from tests.integration.certificates import Authority, Pair, openssl
from tests.integration.test_lifecycle import last_line, run_server


class Secured(NamedTuple):
    """A server, and the files of its certificate, which it reads again."""

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
    with running_server(server_flags(bundle, SAMPLE_CATALOGUE, *tls)) as server:
        yield Secured(server, served)
    assert not [line for line in server.lines if "Traceback" in line]


def connected(server: ServerProcess, credentials: grpc.ChannelCredentials | None) -> grpc.Channel:
    alone = [("grpc.use_local_subchannel_pool", 1)]
    if credentials is None:
        return grpc.insecure_channel(server.address, options=alone)
    return grpc.secure_channel(server.address, credentials, options=alone)


def search(channel: grpc.Channel, seconds: float = 20) -> int:
    stub: Any = chaja.Client(channel).search
    return len(stub.Search(SearchRequest(query="송금", limit=3), timeout=seconds).hits)


def served_to(server: ServerProcess, credentials: grpc.ChannelCredentials | None) -> bool:
    """Whether a new connection is served; it is not for want of the right certificates otherwise."""
    with connected(server, credentials) as channel:
        try:
            return search(channel) == 3
        except grpc.RpcError as raised:
            error: Any = raised
            assert error.code() == grpc.StatusCode.UNAVAILABLE
            return False


def test_who_trusts_the_certificate_is_served(
    tmp_path: Path, tiny_bundle: Path, ours: Authority, theirs: Authority
) -> None:
    with secured(tmp_path, tiny_bundle, ours.signed("plain")) as (server, _):
        assert served_to(server, ours.credentials())
        assert not served_to(server, theirs.credentials())
        assert not served_to(server, None)
        with chaja.connect(server.address, credentials=ours.credentials()) as client:
            assert client.search.Search(SearchRequest(query="송금", limit=3)).hits
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


def test_an_expired_certificate_of_the_server_is_refused_by_clients(
    tmp_path: Path, tiny_bundle: Path, ours: Authority
) -> None:
    with secured(tmp_path, tiny_bundle, ours.signed("old", days=-1)) as (server, served):
        assert not served_to(server, ours.credentials())
        served.replace(ours.signed("renewed"))  # It is mended without a restart.
        assert served_to(server, ours.credentials())


def test_a_rotated_certificate_is_for_new_connections(
    tmp_path: Path, tiny_bundle: Path, ours: Authority, theirs: Authority
) -> None:
    with secured(tmp_path, tiny_bundle, ours.signed("first")) as (server, served):
        with connected(server, ours.credentials()) as old:
            assert search(old) == 3
            served.replace(theirs.signed("second"))
            assert served_to(server, theirs.credentials())
            assert not served_to(server, ours.credentials())
            assert search(old) == 3, "a connection that was open goes on"
        assert any("read the certificate" in line for line in server.lines)


@pytest.mark.parametrize("how", ["garbage", "another's key", "no file"])
def test_a_broken_rotation_keeps_the_old_certificate(
    tmp_path: Path, tiny_bundle: Path, ours: Authority, theirs: Authority, how: str
) -> None:
    with secured(tmp_path, tiny_bundle, ours.signed("before")) as (server, served):
        assert served_to(server, ours.credentials())
        if how == "garbage":
            served.certificate.write_text("-----BEGIN CERTIFICATE-----\nnone\n")
        elif how == "another's key":
            served.key.write_bytes(theirs.signed("other").key.read_bytes())
        else:
            served.certificate.unlink()
        assert served_to(server, ours.credentials())
        ends = time.monotonic() + 10
        while not any(
            " ERROR " in line and "the certificate read before stays in use" in line for line in server.lines
        ):
            assert time.monotonic() < ends
            time.sleep(0.01)
        served.replace(theirs.signed("after"))
        assert served_to(server, theirs.credentials())


def test_flags_that_are_wrong_are_one_line_and_an_exit_code(tmp_path: Path, tiny_bundle: Path, ours: Authority) -> None:
    pair, locked = ours.signed("flags"), tmp_path / "locked.key"
    openssl("ec", "-in", pair.key, "-aes256", "-passout", "pass:secret", "-out", locked)

    def refused(code: int, *flags: str | Path) -> str:
        run = run_server(*server_flags(tiny_bundle, SAMPLE_CATALOGUE, *map(str, flags)))
        assert run.returncode == code, run.stderr
        return last_line(run)

    certificate, key, missing = pair.certificate, pair.key, tmp_path / "missing"
    assert str(missing) in refused(1, "--tls-certificate", missing, "--tls-key", key)
    assert str(tmp_path) in refused(1, "--tls-certificate", tmp_path, "--tls-key", key)
    assert "has a passphrase" in refused(1, "--tls-certificate", certificate, "--tls-key", locked)
    assert str(missing) in refused(1, "--tls-certificate", certificate, "--tls-key", key, "--tls-client-ca", missing)
    assert "go together" in refused(2, "--tls-certificate", certificate)
    assert "go together" in refused(2, "--tls-key", key)
    assert "--tls-client-ca needs" in refused(2, "--tls-client-ca", ours.pair.certificate)


def offered(address: str, authority: Authority, ciphers: str, version: ssl.TLSVersion) -> str | None:
    """Returns the cipher that a server agrees to with a client that knows no others; None if it refuses."""
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
def test_old_versions_and_ciphers_without_authentication_are_refused(
    tmp_path: Path, tiny_bundle: Path, ours: Authority
) -> None:
    with secured(tmp_path, tiny_bundle, ours.signed("modern")) as (server, _):
        aead = "ECDHE-ECDSA-AES128-GCM-SHA256"
        assert offered(server.address, ours, aead, ssl.TLSVersion.TLSv1_2) == aead
        assert offered(server.address, ours, "ALL", ssl.TLSVersion.TLSv1_3) is not None
        for cbc in ("ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-AES128-SHA256"):
            assert offered(server.address, ours, cbc, ssl.TLSVersion.TLSv1_2) is None
        for old in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
            assert offered(server.address, ours, "ALL", old) is None
