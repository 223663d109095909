"""TLS, and mutual TLS, with certificates that are read again when their files change."""

import logging
import ssl
from pathlib import Path
from typing import Any

import grpc

from server.errors import SecurityError
from server.security.watched import WatchedFiles

log = logging.getLogger(__name__)


class Certificates:
    """The server's certificate and key, and the authorities that sign its clients' certificates.

    New connections get the newest certificate; open ones keep theirs. gRPC offers TLS 1.2 and 1.3 with AEAD ciphers
    alone (`server.__main__` names them).
    """

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None) -> None:
        """Reads the files; without `client_ca` no client needs a certificate.

        Raises:
            SecurityError: One of them cannot be used.
        """
        self._certificate, self._key, self._client_ca = certificate, key, client_ca
        self._files = [path for path in (certificate, key, client_ca) if path is not None]
        self._watched = WatchedFiles(self._files)
        self._configuration = self._read()

    def credentials(self) -> grpc.ServerCredentials:
        """Returns credentials that ask for the newest certificate with every new connection."""
        renewed: Any = self.renewed  # May return None, which types-grpcio does not say.
        return grpc.dynamic_ssl_server_credentials(
            self._configuration, renewed, require_client_authentication=self._client_ca is not None
        )

    def renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """Returns what new connections use from now on; None if nothing has changed. gRPC calls this in its threads."""
        if not self._watched.changed():
            return None
        try:
            self._configuration = self._read()
        except SecurityError as error:
            log.error("%s; the certificate read before stays in use", error)
            return None
        log.info("read the certificate %s again", self._certificate)
        return self._configuration

    def _read(self) -> grpc.ServerCertificateConfiguration:
        for path in self._files:
            if not path.is_file():
                raise SecurityError(f"{path} is not there, or no file")
        try:
            # gRPC itself would listen with wrong files, and fail every handshake.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._certificate, self._key, password=_no_passphrase)
            if self._client_ca is not None:
                context.load_verify_locations(self._client_ca)
            certificate, key, *client_ca = [path.read_bytes() for path in self._files]
        except (OSError, ssl.SSLError, ValueError) as error:
            raise SecurityError(
                f"TLS cannot be set up with {', '.join(map(str, self._files))}; "
                f"expected a certificate, its own key and certificates, in PEM: {error}"
            ) from None
        return grpc.ssl_server_certificate_configuration([(key, certificate)], client_ca[0] if client_ca else None)


def _no_passphrase() -> str:
    """Refuses a key with a passphrase, where OpenSSL would ask the terminal."""
    raise ValueError("the key has a passphrase; give one without")
