"""The certificate of the HTTP port, read again when its files change."""

import logging
import ssl
import threading
from pathlib import Path

from server.errors import SecurityError
from server.security.pem import chain_of, expiry_of, server_context, tls_errors
from server.security.watched import WatchedFiles

log = logging.getLogger(__name__)


class HttpsCertificate:
    """A certificate and its key. New connections get the newest one; open ones keep theirs."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Reads the files; raises SecurityError."""
        self._certificate, self._key = certificate, key
        self._watched = WatchedFiles([certificate, key])
        self._reading = threading.Lock()
        self._context = self._read()

    def context(self) -> ssl.SSLContext:
        """Returns the context of a new connection. If changed files cannot be used, the previous ones stay in use."""
        with self._reading:
            if self._watched.changed():
                try:
                    self._context = self._read()
                    log.info("read the certificate %s again", self._certificate)
                except SecurityError as error:
                    log.error("%s; the previous certificate stays in use", error)
            return self._context

    def expiry_seconds(self) -> int:
        """Returns the Unix time at which the first certificate of the current chain expires. Any thread may ask."""
        self.context()
        return self._expiry_seconds

    def _read(self) -> ssl.SSLContext:
        with tls_errors({"--http-tls-certificate": self._certificate, "--http-tls-key": self._key}):
            context = server_context(self._certificate, self._key)
            context.options |= ssl.OP_NO_RENEGOTIATION
            context.set_alpn_protocols(["http/1.1"])
            self._expiry_seconds = expiry_of(chain_of(self._certificate.read_bytes()))
            return context
