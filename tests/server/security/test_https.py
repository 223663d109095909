import shutil
import time
from pathlib import Path

import pytest

from server.errors import SecurityError
from server.security.https import HttpsCertificate
from tests.integration.certificates import Authority, Pair

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")


@pytest.fixture
def files(tmp_path: Path) -> Pair:
    return Authority(tmp_path, "ours").signed("first")


def test_a_failed_rotation_keeps_the_old_certificate_until_it_is_repaired(
    files: Pair, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = HttpsCertificate(*files)
    first = certificate.context()
    assert certificate.context() is first
    second = Authority(tmp_path / "other", "other").signed("second")
    shutil.copy(second.certificate, files.certificate)  # Its key has not been written yet.
    assert [certificate.context() for _ in range(3)] == [first] * 3
    (record,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert "the previous certificate stays in use" in record.getMessage()
    shutil.copy(second.key, files.key)
    assert certificate.context() is not first


def test_the_expiry_is_that_of_the_newest_certificate(files: Pair, tmp_path: Path) -> None:
    certificate = HttpsCertificate(*files)
    days = 86400
    assert round((certificate.expiry_seconds() - time.time()) / days) == 2
    files.replace(Authority(tmp_path / "other", "other").signed("second", days=9))
    assert round((certificate.expiry_seconds() - time.time()) / days) == 9


def test_files_that_cannot_be_used_are_reported(files: Pair, tmp_path: Path) -> None:
    with pytest.raises(SecurityError, match="does not exist"):
        HttpsCertificate(files.certificate, tmp_path / "none")
    with pytest.raises(SecurityError, match="TLS cannot be set up with"):
        HttpsCertificate(files.certificate, files.certificate)
