"""Reads certificates and keys in PEM."""

import binascii
import contextlib
import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from server.errors import SecurityError
from server.security.validity import not_after_seconds

CERTIFICATE = re.compile(rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----(.*?)-----END", re.DOTALL)


@contextlib.contextmanager
def tls_errors(files: Mapping[str, Path]) -> Iterator[None]:
    """Raises SecurityError if one of the files, by flag, is missing, or if they cannot be used in the block."""
    for flag, path in files.items():
        if not path.is_file():
            raise SecurityError(f"{flag} {path} does not exist or is not a file")
    try:
        yield
    except (OSError, ssl.SSLError, ValueError) as error:
        raise SecurityError(
            f"TLS cannot be set up with {', '.join(f'{flag} {path}' for flag, path in files.items())}; "
            f"expected certificates in PEM, and the key of the first: {error}"
        ) from None


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Returns a context with a certificate and its key. Use it within `tls_errors`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key, password=_no_passphrase)
    return context


def chain_of(content: bytes) -> list[bytes]:
    """Returns the certificates of a file in DER, the server's first; raises ValueError if there is none."""
    chain = [binascii.a2b_base64(found[1]) for found in CERTIFICATE.finditer(content)]
    if not chain:
        raise ValueError("there is no certificate")
    return chain


def expiry_of(chain: Sequence[bytes]) -> int:
    """Returns the Unix time at which the first certificate of a chain expires; raises ValueError."""
    return min(map(not_after_seconds, chain))


def _no_passphrase() -> str:
    """Rejects a key with a passphrase; OpenSSL would ask for it on the terminal."""
    raise ValueError("the key has a passphrase; use one without")
