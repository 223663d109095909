"""Reads the log of gRPC's C core, which is the only trace of a TLS handshake that fails.

The core writes it to file descriptor 2. A pipe takes its place, and Python's own output goes to the old one. Lines of
other native code are passed on. The core never waits: what does not fit into the pipe is lost.
"""

import contextlib
import os
import re
import sys
import threading
from collections.abc import Callable
from typing import Literal

FailedHandshake = Literal["no_tls", "no_client_certificate", "client_certificate_invalid", "handshake_failed"]

REASON_OF: dict[str, FailedHandshake] = {
    "WRONG_VERSION_NUMBER": "no_tls",
    "HTTP_REQUEST": "no_tls",
    "HTTPS_PROXY_REQUEST": "no_tls",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "no_client_certificate",
    "CERTIFICATE_VERIFY_FAILED": "client_certificate_invalid",
}
"""By BoringSSL's name of the error; all others are `handshake_failed`."""

LINE = re.compile(rb"[IWE]\d{4} [\d:.]+ +\d+ \S+\] (.*)")
"""A line of the core. Fatal ones, which begin with F, are passed on if the process lives long enough."""

FAILED = re.compile(rb"Handshake failed.*?(?:OPENSSL_internal:(\w+).*)?$")


class CoreLog:
    """The core's log. Create it before the first import of grpc, which reads the verbosity; it lasts as the process."""

    def __init__(self) -> None:
        self.on_failed_handshake: Callable[[FailedHandshake], None] = lambda _: None
        """Called in a separate thread for each failed handshake."""
        os.environ["GRPC_VERBOSITY"] = "INFO"
        self._stderr = os.dup(2)
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        os.dup2(writing, 2)
        os.close(writing)
        sys.stderr = os.fdopen(self._stderr, "w", buffering=1, encoding="utf-8", errors="backslashreplace")
        threading.Thread(target=self._read, args=(reading,), name="core-log", daemon=True).start()

    def _read(self, reading: int) -> None:
        with os.fdopen(reading, "rb") as lines:
            for line in lines:
                if (found := LINE.match(line)) is None:
                    with contextlib.suppress(OSError):  # It may be closed, or full.
                        os.write(self._stderr, line)
                elif failed := FAILED.match(found[1]):
                    name = (failed[1] or b"").decode("ascii", "replace")
                    self.on_failed_handshake(REASON_OF.get(name, "handshake_failed"))
