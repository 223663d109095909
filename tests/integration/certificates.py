"""Certificates made with OpenSSL's command line."""

import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import grpc

EC_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Pair(NamedTuple):
    """A certificate and its key."""

    certificate: Path
    key: Path

    def replace(self, other: "Pair") -> None:
        """Replaces these files by those of another pair, one by one, as tools that renew certificates do."""
        for path, new in zip(self, other, strict=True):
            beside = path.with_suffix(".new")
            beside.write_bytes(new.read_bytes())
            beside.rename(path)


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=60)  # noqa: S607


class Authority:
    """Signs certificates."""

    def __init__(self, directory: Path, name: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self.pair = Pair(directory / f"{name}-ca.pem", directory / f"{name}-ca.key")
        subject = ("-subj", f"/CN={name}", "-days", "2")
        openssl("req", "-x509", *EC_KEY, "-keyout", self.pair.key, "-out", self.pair.certificate, *subject)

    def signed(self, name: str, *, days: int = 2, key: Sequence[str] = EC_KEY) -> Pair:
        """Returns a certificate for this machine; with negative days it has expired."""
        made = Pair(self._directory / f"{name}.pem", self._directory / f"{name}.key")
        request, extensions = self._directory / f"{name}.csr", self._directory / f"{name}.ext"
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        openssl("req", "-new", *key, "-keyout", made.key, "-out", request, "-subj", f"/CN={name}")
        signer = ("-CA", self.pair.certificate, "-CAkey", self.pair.key, "-CAcreateserial")
        validity = ("-days", str(days), "-extfile", extensions)
        openssl("x509", "-req", "-in", request, *signer, *validity, "-out", made.certificate)
        return made

    def trusted(self) -> ssl.SSLContext:
        """Returns the context of a client that trusts this authority."""
        return ssl.create_default_context(cafile=self.pair.certificate)

    def credentials(self, client: Pair | None = None) -> grpc.ChannelCredentials:
        """Returns credentials of a client that trusts this authority, with the client's certificate if given."""
        root = self.pair.certificate.read_bytes()
        if client is None:
            return grpc.ssl_channel_credentials(root)
        return grpc.ssl_channel_credentials(root, client.key.read_bytes(), client.certificate.read_bytes())
