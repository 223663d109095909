import shutil
import time
from pathlib import Path

import pytest

from server.errors import SecurityError
from server.security.tls import Certificates
from tests.integration.certificates import Authority, Pair, openssl

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")

DAY = 86400


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "ours")


@pytest.fixture(scope="module")
def signed(authority: Authority) -> dict[str, Pair]:
    return {name: authority.signed(name) for name in ("first", "second")}


@pytest.fixture
def files(tmp_path: Path, signed: dict[str, Pair]) -> Pair:
    """The server's certificate and key, which a test may change."""
    files = Pair(tmp_path / "tls.crt", tmp_path / "tls.key")
    files.replace(signed["first"])
    return files


def test_a_rotated_certificate_is_used_for_new_connections_and_read_once(files: Pair, signed: dict[str, Pair]) -> None:
    certificates = Certificates(*files, None)
    assert certificates.renewed() is None
    files.replace(signed["second"])
    assert certificates.renewed() is not None
    assert certificates.renewed() is None


def test_a_failed_rotation_keeps_the_old_certificate_until_it_is_repaired(
    files: Pair, signed: dict[str, Pair], caplog: pytest.LogCaptureFixture
) -> None:
    certificates = Certificates(*files, None)
    shutil.copy(signed["second"][0], files[0])  # Its key has not been written yet.
    assert [certificates.renewed() for _ in range(3)] == [None] * 3
    (record,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert "the previous certificate stays in use" in record.getMessage()
    assert str(files[0]) in record.getMessage()
    shutil.copy(signed["second"][1], files[1])
    assert certificates.renewed() is not None


def test_the_expiry_follows_a_rotated_certificate_which_grpc_still_gets(files: Pair, authority: Authority) -> None:
    certificates = Certificates(*files, None)
    earlier = certificates.expiry_seconds()
    assert abs(earlier - time.time() - 2 * DAY) < DAY / 2
    files.replace(authority.signed("longer", days=9))
    assert abs(certificates.expiry_seconds() - time.time() - 9 * DAY) < DAY / 2
    assert certificates.renewed() is not None, "gRPC asks later, for the next connection"
    assert certificates.renewed() is None


def test_the_first_certificate_of_a_chain_that_expires_counts(files: Pair, authority: Authority) -> None:
    files.replace(authority.signed("longer", days=9))
    chain = files.certificate.read_bytes() + authority.pair.certificate.read_bytes()
    files.certificate.write_bytes(chain)
    assert abs(Certificates(*files, None).expiry_seconds() - time.time() - 2 * DAY) < DAY / 2


def test_an_expired_certificate_reports_its_expiry(files: Pair, authority: Authority) -> None:
    files.replace(authority.signed("expired", days=-1))
    assert abs(Certificates(*files, None).expiry_seconds() - time.time() + DAY) < DAY / 2


KEYS = {
    "rsa": ("-newkey", "rsa:2048", "-nodes"),
    "p384": ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1", "-nodes"),
    "p521": ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp521r1", "-nodes"),
    "secp256k1": ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1", "-nodes"),
    "ed25519": ("-newkey", "ed25519", "-nodes"),
}


@pytest.mark.parametrize("name", list(KEYS))
def test_only_keys_that_grpc_supports_are_used(
    name: str, files: Pair, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    certificates = Certificates(*files, None)
    files.replace(authority.signed(name, key=KEYS[name]))
    if name in ("rsa", "p384"):
        assert certificates.renewed() is not None
        return
    assert certificates.renewed() is None
    assert "gRPC does not support the type of the certificate's key; use RSA, P-256, P-384" in caplog.text
    with pytest.raises(SecurityError, match="type of the certificate's key"):
        Certificates(*files, None)


def test_a_revocation_list_is_no_client_ca(files: Pair, authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "index").touch()
    section = f"[ca]\ndefault_ca=x\n[x]\ndatabase={tmp_path}/index\ndefault_md=sha256\ndefault_crl_days=5\n"
    (tmp_path / "config").write_text(section, encoding="utf-8")
    signer = ("-keyfile", authority.pair.key, "-cert", authority.pair.certificate)
    openssl("ca", "-gencrl", "-config", tmp_path / "config", *signer, "-out", tmp_path / "crl")
    with pytest.raises(SecurityError, match="crl has no certificate"):
        Certificates(*files, tmp_path / "crl")


def test_a_key_of_another_certificate_is_rejected(files: Pair, signed: dict[str, Pair]) -> None:
    with pytest.raises(SecurityError, match="TLS cannot be set up with"):
        Certificates(files[0], signed["second"][1], None)


def test_a_key_with_a_passphrase_is_rejected_without_a_prompt(files: Pair) -> None:
    locked = files[1].with_name("locked.key")
    openssl("ec", "-in", str(files[1]), "-aes256", "-passout", "pass:secret", "-out", str(locked))
    with pytest.raises(SecurityError, match="the key has a passphrase; use one without"):
        Certificates(files[0], locked, None)


@pytest.mark.parametrize("broken", ["certificate", "key", "client ca"])
@pytest.mark.parametrize("content", [None, b"", b"no PEM"])
def test_files_that_are_missing_or_not_pem_are_named(
    files: Pair, authority: Authority, tmp_path: Path, broken: str, content: bytes | None
) -> None:
    path = tmp_path / "broken"
    if content is not None:
        path.write_bytes(content)
    certificate = path if broken == "certificate" else files[0]
    key = path if broken == "key" else files[1]
    client_ca = path if broken == "client ca" else authority.pair.certificate
    with pytest.raises(SecurityError) as raised:
        Certificates(certificate, key, client_ca)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)
