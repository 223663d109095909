"""A client of the HTTP port under test."""

import contextlib
import http.client
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field

from server.setting_types import Address


@dataclass
class Port:
    """A port, and what its probes report."""

    address: Address
    alive: bool = True
    ready: bool = False
    trusted: ssl.SSLContext | None = None
    """Context of a client of a port with TLS."""
    refused: list[tuple[str, str]] = field(default_factory=list)
    """The reasons and the clients of requests without a valid token."""

    def get(self, path: str, *, method: str = "GET", **headers: str) -> tuple[int, str]:
        """Sends one request; returns the status and the body."""
        with self.response(path, method=method, **headers) as response:
            return response.status, response.read().decode()

    @contextlib.contextmanager
    def response(self, path: str, *, method: str = "GET", **headers: str) -> Iterator[http.client.HTTPResponse]:
        """Sends one request; yields the response."""
        connection = (
            http.client.HTTPSConnection(*self.address, timeout=30, context=self.trusted)
            if self.trusted
            else http.client.HTTPConnection(*self.address, timeout=30)
        )
        with contextlib.closing(connection):
            connection.request(method, path, headers=headers)
            yield connection.getresponse()

    def send(self, data: bytes) -> bytes:
        """Sends bytes; returns everything that is received until the port closes the connection."""
        with self.connected(data) as client:
            return read_all(client)

    @contextlib.contextmanager
    def connected(self, data: bytes = b"") -> Iterator[socket.socket]:
        with socket.create_connection(self.address, timeout=30) as client:
            client.sendall(data)
            yield client


def read_all(client: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while part := client.recv(65536):
            received += part
    return received


def closed(client: socket.socket) -> bool:
    """Returns whether the port has closed a connection."""
    client.settimeout(0)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True
