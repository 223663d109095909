"""TLS and mutual TLS, with certificates that are read again when their files change."""

import logging
import threading
from pathlib import Path
from typing import Any

import grpc

from server.errors import SecurityError
from server.security.pem import chain_of, expiry_of, server_context, tls_errors
from server.security.watched import WatchedFiles

log = logging.getLogger(__name__)

KEY_TYPES = {
    "RSA": bytes.fromhex("300d06092a864886f70d0101010500"),
    "P-256": bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107"),
    "P-384": bytes.fromhex("301006072a8648ce3d020106052b81040022"),
}
"""The keys that gRPC's clients and servers accept (BoringSSL), as the DER of a certificate's key algorithm (RFC 3279,
RFC 5480). With others, gRPC listens, and every handshake fails."""


class Certificates:
    """The server's certificate and key, and the CA certificates for its clients.

    New connections get the newest certificate; open ones keep theirs. gRPC offers only TLS 1.2 and 1.3 with AEAD
    ciphers.
    """

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None) -> None:
        """Reads the files; raises SecurityError. Without `client_ca`, clients need no certificate."""
        self._certificate, self._key, self._client_ca = certificate, key, client_ca
        self._files = {"--tls-certificate": certificate, "--tls-key": key}
        if client_ca is not None:
            self._files["--tls-client-ca"] = client_ca
        self._watched = WatchedFiles(list(self._files.values()))
        self._reading = threading.Lock()
        self._configuration = self._given = self._read()

    def credentials(self) -> grpc.ServerCredentials:
        """Returns credentials that use the newest certificate for every new connection."""
        renewed: Any = self.renewed  # It may return None, which types-grpcio does not allow.
        return grpc.dynamic_ssl_server_credentials(
            self._configuration, renewed, require_client_authentication=self._client_ca is not None
        )

    def renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """Returns the new certificate, or None if the files have not changed. gRPC calls this in its threads."""
        with self._reading:
            self._refresh()
            if self._given is self._configuration:
                return None
            self._given = self._configuration
            return self._configuration

    def expiry_seconds(self) -> int:
        """Returns the Unix time at which the first certificate of the current chain expires. Any thread may ask."""
        with self._reading:
            self._refresh()
            return self._expiry_seconds

    def _refresh(self) -> None:
        if not self._watched.changed():
            return
        try:
            self._configuration = self._read()
        except SecurityError as error:
            log.error("%s; the previous certificate stays in use", error)
        else:
            log.info("read the certificate %s again", self._certificate)

    def _read(self) -> grpc.ServerCertificateConfiguration:
        with tls_errors(self._files):
            # Check the files with ssl: with invalid files gRPC would listen and fail every handshake.
            context = server_context(self._certificate, self._key)
            if self._client_ca is not None:
                context.load_verify_locations(self._client_ca)
                if not context.cert_store_stats()["x509"]:
                    raise ValueError(f"{self._client_ca} has no certificate")
            certificate, key, *client_ca = [path.read_bytes() for path in self._files.values()]
            chain = chain_of(certificate)
            _check_key_type(chain[0])
            self._expiry_seconds = expiry_of(chain)
        return grpc.ssl_server_certificate_configuration([(key, certificate)], client_ca[0] if client_ca else None)


def _check_key_type(certificate: bytes) -> None:
    """Raises ValueError if gRPC cannot use the key of the server's certificate, in DER."""
    if not any(key_type in certificate for key_type in KEY_TYPES.values()):
        raise ValueError(f"gRPC does not support the type of the certificate's key; use {', '.join(KEY_TYPES)}")
