"""TLS to a server whose certificate no authority signed: the certificate is fetched first, and then trusted as it is.

grpcio cannot skip the verification of a certificate. So this is weaker than in other tools: a certificate that is not
valid at this time is still refused, and a server that changes its certificate during the run fails.
"""

import functools
import socket
import ssl
import urllib.parse
from contextlib import closing
from typing import Any, NamedTuple

from loadtest.addresses import shown
from loadtest.errors import AttackError

CONNECT_SECONDS = 5.0


class Trust(NamedTuple):
    """The certificate of a server, in PEM, and a name that it is valid for."""

    certificate: bytes
    name: str


@functools.lru_cache
def fetch(uri: str) -> Trust:
    """Returns the certificate that a server shows.

    Args:
        uri: The server's address, from `addresses.grpc_uri`.

    Raises:
        AttackError: The server cannot be reached, does not speak TLS, or its certificate is not valid at this time.
    """
    try:
        blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE
        der, _ = _shake_hands(uri, blind)
        pem = ssl.DER_cert_to_PEM_cert(der)
        # Python describes a certificate only after it has verified it.
        seeing = ssl.create_default_context(cadata=pem)
        seeing.check_hostname = False
        seeing.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        _, described = _shake_hands(uri, seeing)
    except ssl.SSLCertVerificationError as error:
        raise AttackError(
            f"--insecure-skip-verify cannot use the certificate of {shown(uri)}: {error.verify_message}"
        ) from None
    except ssl.SSLError as error:
        raise AttackError(f"{shown(uri)} does not speak TLS: {error.reason or error}") from None
    except OSError as error:
        raise AttackError(f"{shown(uri)} does not answer: {error.strerror or error}") from None
    return Trust(pem.encode(), _name(described))


def _shake_hands(uri: str, context: ssl.SSLContext) -> tuple[bytes, dict[str, Any]]:
    context.set_alpn_protocols(["h2"])
    with closing(_connect(uri)) as plain, context.wrap_socket(plain) as encrypted:
        der = encrypted.getpeercert(binary_form=True)
        assert der is not None, "a TLS server has a certificate"
        return der, dict(encrypted.getpeercert() or {})


def _connect(uri: str) -> socket.socket:
    scheme, _, rest = uri.partition(":")
    if scheme.startswith("unix"):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(CONNECT_SECONDS)
        connection.connect(("\0" if scheme == "unix-abstract" else "") + urllib.parse.unquote(rest))
        return connection
    host, _, port = rest.rpartition("/")[2].rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS)


def _name(described: dict[str, Any]) -> str:
    """Returns a name that the certificate is valid for; empty if it has none."""
    names = [value for _, value in described.get("subjectAltName", ())]
    names += [value for part in described.get("subject", ()) for key, value in part if key == "commonName"]
    return next((name.replace("*", "any", 1) for name in names), "")
