import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from server.security.validity import not_after_seconds
from tests.integration.certificates import EC_KEY, openssl

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")

RSA_KEY = ("-newkey", "rsa:2048", "-nodes")


def certificate(directory: Path, *options: str, key: tuple[str, ...] = EC_KEY) -> Path:
    made = directory / "made.pem"
    openssl("req", "-x509", *key, "-keyout", directory / "made.key", "-out", made, "-subj", "/CN=made", *options)
    return made


def der(pem: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem.read_text())


def expected(pem: Path) -> float:
    """Returns what OpenSSL says."""
    command = ["openssl", "x509", "-in", str(pem), "-noout", "-enddate"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    return ssl.cert_time_to_seconds(shown.strip().removeprefix("notAfter="))


# From 2050 on a certificate has four digits of the year; 40,000 days end after that.
@pytest.mark.parametrize("days", ["1", "400", "7000", "40000"])
@pytest.mark.parametrize("key", [EC_KEY, RSA_KEY])
def test_the_end_of_validity_is_the_one_that_openssl_shows(tmp_path: Path, days: str, key: tuple[str, ...]) -> None:
    pem = certificate(tmp_path, "-days", days, key=key)
    assert not_after_seconds(der(pem)) == expected(pem)


def test_a_long_issuer_and_a_long_serial_number_are_skipped(tmp_path: Path) -> None:
    subject = "/CN=long" + "".join(f"/OU={number:060d}" for number in range(40))
    pem = certificate(tmp_path, "-days", "30", "-subj", subject, "-set_serial", f"0x7f{'ab' * 18}")
    assert not_after_seconds(der(pem)) == expected(pem)


def test_an_old_certificate_without_a_version_is_read(tmp_path: Path) -> None:
    request, pem = tmp_path / "request", tmp_path / "old.pem"
    openssl("req", "-new", *EC_KEY, "-keyout", tmp_path / "key", "-out", request, "-subj", "/CN=old")
    openssl("x509", "-req", "-in", request, "-signkey", tmp_path / "key", "-days", "3", "-out", pem)
    assert not_after_seconds(der(pem)) == expected(pem)


def test_no_part_of_a_certificate_is_read_as_one(tmp_path: Path) -> None:
    whole = der(certificate(tmp_path))
    for end in range(len(whole)):
        with pytest.raises(ValueError):  # noqa: PT011  any message
            not_after_seconds(whole[:end])
