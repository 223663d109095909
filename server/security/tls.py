"""TLS, and mutual TLS, with certificates that are read again when their files change."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from server.errors import SecurityError
from server.security.watched import WatchedFiles

log = logging.getLogger(__name__)


class Certificates:
    """The server's certificate and key, and whom it takes certificates of clients from.

    New connections get the newest certificate; those that are open keep theirs.
    """

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None) -> None:
        """Reads the files.

        Args:
            certificate: The server's certificate and those that lead to its root, in PEM.
            key: Its private key, in PEM, without a passphrase.
            client_ca: Certificates of which one must have signed a client's own (mutual TLS); None asks for none.

        Raises:
            SecurityError: One of them cannot be used.
        """
        self._certificate, self._key, self._client_ca = certificate, key, client_ca
        self._watched = WatchedFiles([path for path in (certificate, key, client_ca) if path is not None])
        self._context = self._read()

    def context(self) -> ssl.SSLContext:
        """Returns what a new connection is to use."""
        if self._watched.changed():
            try:
                self._context = self._read()
                log.info("read the certificate %s again", self._certificate)
            except SecurityError as error:
                log.error("%s; the certificate read before stays in use", error)
        return self._context

    def _read(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["h2"])
        for path in (self._certificate, self._key, self._client_ca):
            if path is not None and not path.is_file():
                raise SecurityError(f"{path} is not there, or no file")
        try:
            context.load_cert_chain(self._certificate, self._key, password=_no_passphrase)
            if self._client_ca is not None:
                context.load_verify_locations(self._client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
        except (OSError, ssl.SSLError, ValueError) as error:
            files = ", ".join(str(path) for path in (self._certificate, self._key, self._client_ca) if path is not None)
            raise SecurityError(
                f"TLS cannot be set up with {files}; expected a certificate, its own key and certificates, in PEM: "
                f"{error}"
            ) from None
        return context


def _no_passphrase() -> str:
    """Is asked for the passphrase of a key, where OpenSSL would ask the terminal."""
    raise ValueError("the key has a passphrase; give one without")
