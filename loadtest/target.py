"""The target of an attack: address, TLS, token, metadata, connections."""

import base64
import re
import ssl
from dataclasses import dataclass, field, replace
from pathlib import Path

import grpc

from loadtest.addresses import grpc_uri, split_addresses
from loadtest.errors import UsageError

HEADER_NAME = re.compile(r"[0-9a-z_.-]+")
RESERVED_HEADERS = ("connection", "content-type", "te", "transfer-encoding", "upgrade", "user-agent")
HEADER_VALUE = re.compile(r"[ -~]*")
COMPRESSIONS = {"gzip": grpc.Compression.Gzip, "deflate": grpc.Compression.Deflate}
MOST_CONNECTIONS = 256
"""Connections per process: the usual limit of open files is 1,024."""

Metadata = tuple[tuple[str, str | bytes], ...]

SECRET = "***"  # noqa: S105  reports show this instead


@dataclass(frozen=True)
class Certificates:
    """The contents of a target's certificate files; `None` for a file that is not given."""

    ca: bytes | None
    certificate: bytes | None
    key: bytes | None


def header(name: str, value: str) -> tuple[str, str | bytes]:
    """Returns a header as gRPC takes it: HTTP/2 allows lower-case names only, and a `-bin` header has bytes.

    Raises:
        UsageError: The name or the value is invalid; the value may be secret and is not shown.
    """
    name = name.lower()
    if name in RESERVED_HEADERS or name.startswith("grpc-"):
        raise UsageError(f"--header {name} is set by gRPC or HTTP/2 itself")
    if not HEADER_NAME.fullmatch(name):
        raise UsageError(f"--header {name!r} is not a name of a header: letters, digits, - _ . only")
    if name.endswith("-bin"):
        try:
            return name, base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
        except ValueError:
            raise UsageError(f"the value of the header {name} (--header) is not base64") from None
    if not HEADER_VALUE.fullmatch(value):
        raise UsageError(f"the header {name} (--header, --token) has characters other than printable ASCII")
    return name, value


@dataclass(frozen=True, kw_only=True)
class Target:
    """A server, and the options of its connections.

    Attributes:
        address: An address as in `addresses.FORMS`, or several with commas between them, used round-robin.
        tls: Whether to use TLS; the certificates below imply it.
        ca_file: Certificates to trust instead of the system's.
        certificate_file: The client's certificate, for mutual TLS; needs `key_file`.
        key_file: Key of the client's certificate.
        authority: Name to expect in the server's certificate instead of the address's.
        token: Sent as `authorization: Bearer …`.
        headers: More metadata, as pairs of text; the value of a binary (`-bin`) header is base64.
        connections: Connections of each worker process to each address, used round-robin.
        compression: Compression of requests, one of `COMPRESSIONS`; empty for none. Answers may always be compressed.
        insecure_skip_verify: Whether to trust any certificate of the server (see `unverified`).
        certificates: Contents of the three files, which then count instead of the paths (see `with_contents`).
    """

    address: str
    tls: bool = False
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    authority: str = ""
    token: str = field(default="", repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    connections: int = 1
    compression: str = ""
    insecure_skip_verify: bool = False
    certificates: Certificates | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if (self.certificate_file is None) != (self.key_file is None):
            raise UsageError("a client certificate (--cert) needs its key (--key), and a key its certificate")
        if self.insecure_skip_verify and self.ca_file is not None:
            raise UsageError("--insecure-skip-verify trusts any certificate: remove it or --ca")
        if self.compression and self.compression not in COMPRESSIONS:
            raise UsageError(f"--compression is one of {', '.join(COMPRESSIONS)}, not {self.compression!r}")
        connections = self.connections * len(self.uris)
        if not 1 <= connections <= MOST_CONNECTIONS:
            each = f" to each of {len(self.uris)} addresses" if len(self.uris) > 1 else ""
            raise UsageError(
                f"--connections must be from 1 to {MOST_CONNECTIONS // len(self.uris)}{each}, not {self.connections}"
            )
        self.metadata()

    def metadata(self) -> Metadata:
        """Returns the metadata of every call.

        Raises:
            UsageError: A header is invalid.
        """
        bearer = (("authorization", f"Bearer {self.token}"),) if self.token else ()
        return tuple(header(name, value) for name, value in (*self.headers, *bearer))

    @property
    def uses_tls(self) -> bool:
        """Whether connections are encrypted."""
        given = self.ca_file is not None or self.certificate_file is not None
        return self.tls or self.insecure_skip_verify or given

    def with_contents(self) -> "Target":
        """Returns the target with the contents of its certificate files: another machine does not have the files.

        Raises:
            UsageError: A certificate or key cannot be read.
        """
        if not self.uses_tls:
            return self
        contents = self._contents()
        return replace(self, tls=True, certificates=contents, ca_file=None, certificate_file=None, key_file=None)

    @property
    def uris(self) -> list[str]:
        """The addresses as gRPC takes them.

        Raises:
            UsageError: An address is malformed.
        """
        return [grpc_uri(each) for each in split_addresses(self.address)]

    def credentials(self, trusted: bytes | None = None) -> grpc.ChannelCredentials | None:
        """Returns the credentials of encrypted connections; `None` for plain ones.

        Args:
            trusted: Certificates to trust instead of `ca_file`'s, in PEM.

        Raises:
            UsageError: A certificate or key cannot be read.
        """
        if not self.uses_tls:
            return None
        contents = self._contents()
        roots = trusted or contents.ca or _system_certificates()
        return grpc.ssl_channel_credentials(roots, contents.key, contents.certificate)

    def _contents(self) -> Certificates:
        if self.certificates is not None:
            return self.certificates
        ca, certificate, key = (_read(path) for path in (self.ca_file, self.certificate_file, self.key_file))
        try:  # gRPC would only log malformed certificates.
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.certificate_file is not None:
                context.load_cert_chain(self.certificate_file, self.key_file)
        except ssl.SSLError as error:
            raise UsageError(f"--ca, --cert or --key is not PEM, or they do not match: {error}") from None
        return Certificates(ca=ca, certificate=certificate, key=key)

    def described(self) -> dict[str, object]:
        """Returns the target for reports, with secrets hidden."""
        return {
            "address": self.address,
            "tls": self.uses_tls,
            "headers": [name for name, _ in self.metadata()],
            "connections": self.connections,
            "compression": self.compression,
        }


def _read(path: Path | None) -> bytes | None:
    try:
        return path.read_bytes() if path else None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def _system_certificates() -> bytes | None:
    """Returns the system's certificates; `None`, which selects gRPC's own, if Python finds none."""
    paths = ssl.get_default_verify_paths()
    places = (paths.cafile, paths.capath and f"{paths.capath}/ca-certificates.crt")
    return next((Path(place).read_bytes() for place in places if place and Path(place).is_file()), None)
