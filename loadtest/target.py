"""Whom to call: address, TLS, token, metadata, connections."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from loadtest.errors import UsageError

HEADER_NAME = re.compile(r"[0-9a-z_.-]+")
HEADER_VALUE = re.compile(r"[ -~]*")
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
SECRET = "***"  # noqa: S105  what reports show instead


@dataclass(frozen=True, kw_only=True)
class Target:
    """A server, and how to talk to it.

    Attributes:
        address: A gRPC target, such as `127.0.0.1:50051` or `dns:///search.example:50051`.
        tls: Whether to use TLS; the certificates below imply it.
        ca_file: Certificates to trust instead of the system's.
        certificate_file: The client's own certificate, for mutual TLS; needs `key_file`.
        key_file: Its key.
        authority: Name to expect in the server's certificate instead of the address's.
        token: Sent as `authorization: Bearer …`.
        headers: More metadata, as pairs; texts, no binary (`-bin`) metadata.
        connections: Connections of each worker process; calls take them in turn.
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

    def __post_init__(self) -> None:
        if (self.certificate_file is None) != (self.key_file is None):
            raise UsageError("a client certificate needs its key, and a key its certificate")
        if self.connections < 1:
            raise UsageError(f"the number of connections must be at least 1, not {self.connections}")
        for name, value in self.metadata():
            if not HEADER_NAME.fullmatch(name) or name.startswith("grpc-") or name.endswith("-bin"):
                raise UsageError(f"{name!r} cannot be sent as the name of a header: letters, digits, - _ . only")
            if not HEADER_VALUE.fullmatch(value):
                raise UsageError(f"the value of the header {name} has characters other than printable ASCII")

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Returns the metadata of every call; HTTP/2 knows names in lower case only."""
        bearer = (("authorization", f"Bearer {self.token}"),) if self.token else ()
        return (*((name.lower(), value) for name, value in self.headers), *bearer)

    def channel(self) -> grpc.aio.Channel:
        """Opens one connection, which no other channel of the process shares.

        Retries are off: a load tester has to see what a call really met.

        Raises:
            UsageError: A certificate cannot be read.
        """
        options: list[tuple[str, int | str]] = [
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.enable_retries", 0),
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            # A server that comes back is found again within a second, not after gRPC's two minutes.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1000),
        ]
        if self.authority:
            options.append(("grpc.ssl_target_name_override", self.authority))
        if not (self.tls or self.ca_file or self.certificate_file):
            return grpc.aio.insecure_channel(self.address, options=options)
        credentials = grpc.ssl_channel_credentials(
            root_certificates=_read(self.ca_file),
            private_key=_read(self.key_file),
            certificate_chain=_read(self.certificate_file),
        )
        return grpc.aio.secure_channel(self.address, credentials, options=options)

    def described(self) -> dict[str, object]:
        """Returns what reports say about it; secrets are hidden."""
        return {
            "address": self.address,
            "tls": bool(self.tls or self.ca_file or self.certificate_file),
            "headers": [name for name, _ in self.metadata()],
            "connections": self.connections,
        }


def _read(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
