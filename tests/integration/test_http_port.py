"""The HTTP port of a real server with TLS and a token."""

import ssl
import urllib.error
from pathlib import Path

import pytest

from tests.integration.certificates import Authority
from tests.integration.scraping import scrape, status_of, total
from tests.integration.serving import sample_server, start_error, wait_until

TOKEN = "correct-horse-battery"


def test_metrics_need_tls_and_the_token_and_probes_only_tls(tiny_bundle: Path, tmp_path: Path) -> None:
    authority, file = Authority(tmp_path, "ours"), tmp_path / "token"
    pair, trusted = authority.signed("http"), authority.trusted()
    file.write_text(TOKEN, encoding="utf-8")
    flags = ["--http-tls-certificate", str(pair.certificate), "--http-tls-key", str(pair.key)]
    with sample_server(tiny_bundle, *flags, "--http-token-file", str(file)) as server:
        assert server.metrics_url.startswith("https://")
        assert total(scrape(server.metrics_url, trusted=trusted, token=TOKEN), "chaja_catalogue_documents") > 0
        assert [status_of(server.metrics_url, path, trusted=trusted) for path in ("/healthz", "/readyz")] == [200, 200]
        assert status_of(server.metrics_url, "/metrics", trusted=trusted) == 401
        with pytest.raises(urllib.error.URLError, match="certificate verify failed"):
            scrape(server.metrics_url, token=TOKEN)
        file.write_text("", encoding="utf-8")  # From now on, no token is valid.
        wait_until(lambda: refused(server.metrics_url, trusted))


def refused(url: str, trusted: ssl.SSLContext) -> bool:
    """Returns whether the token is refused."""
    try:
        scrape(url, trusted=trusted, token=TOKEN)
    except urllib.error.HTTPError as error:
        with error:
            return error.code == 401
    return False


def test_a_server_with_unusable_files_does_not_start(tiny_bundle: Path, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("short", encoding="utf-8")
    error = start_error(tiny_bundle, "--http-token-file", file)
    assert f"{file}: a token must have 16 to 4096 characters" in error
    error = start_error(tiny_bundle, "--http-tls-certificate", file, "--http-tls-key", file)
    assert f"TLS cannot be set up with --http-tls-certificate {file}, --http-tls-key {file}; expected" in error
    error = start_error(tiny_bundle, "--http-tls-certificate", file, "--http-tls-key", tmp_path / "none")
    assert f"--http-tls-key {tmp_path}/none does not exist or is not a file" in error
