"""Checks and binds the address that the server listens on.

gRPC accepts a name if it can bind one of its addresses, and reports no cause if it can bind none. If another server had
the rest, clients of the name could reach that server. So this module resolves the name, and binds every address.
"""

import asyncio
import errno
import os
import socket
import stat
from collections.abc import Sequence

import grpc

from server.errors import AddressError
from server.setting_types import Address, UnixSocket

CAUSES = {errno.EADDRINUSE: "it is in use", errno.EADDRNOTAVAIL: "it is not an address of this machine"}
LOOPBACK = ("127.0.0.1", "::1")
"""The addresses of `localhost` for gRPC's clients, whatever /etc/hosts says (RFC 6761, section 6.3)."""

ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""Errors that exclude one of a name's addresses: another machine has it, or this one has no IPv6."""


async def resolve(address: Address | UnixSocket) -> Sequence[Address | UnixSocket]:
    """Returns a name's numeric addresses on this machine, with one port; raises AddressError if it does not resolve."""
    if isinstance(address, UnixSocket):
        return [address]
    hosts = list(LOOPBACK) if address.host == "localhost" else await _hosts(address)
    hosts = [host for host in hosts if _bind_errno(Address(host, 0)) not in ABSENT] or hosts
    port = address.port or (_free_port(hosts) if len(hosts) > 1 else 0)
    return [Address(host, port) for host in hosts]


async def _hosts(address: Address) -> list[str]:
    """Returns the numeric addresses of a name."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(*address, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise _error(address, "the name does not resolve") from None
    numeric = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
    return list(dict.fromkeys(socket.getnameinfo(each[4], numeric)[0] for each in found))


def bind(
    server: grpc.aio.Server, addresses: Sequence[Address | UnixSocket], credentials: grpc.ServerCredentials | None
) -> int:
    """Binds all addresses; returns the port (1 for a Unix socket). Raises AddressError."""
    port = 0
    for address in addresses:
        check(address)
        try:
            if credentials is None:
                port = server.add_insecure_port(str(address))
            else:
                port = server.add_secure_port(str(address), credentials)
        except RuntimeError:
            raise _error(address, "gRPC cannot bind it") from None
    return port


def check(address: Address | UnixSocket) -> None:
    """Raises AddressError if a numeric address or a Unix socket cannot be bound now."""
    if isinstance(address, UnixSocket):
        problem = _socket_problem(address)
    else:
        code = _bind_errno(address)
        problem = CAUSES.get(code, os.strerror(code)) if code else None
    if problem is not None:
        raise _error(address, problem)


def _error(address: Address | UnixSocket, problem: str) -> AddressError:
    return AddressError(f"cannot listen on {address}: {problem}; choose another with --listen")


def _probe(address: Address) -> int:
    """Binds an address as gRPC does, and frees it; returns its port. Raises OSError."""
    with socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if probe.family == socket.AF_INET6:  # gRPC binds :: for IPv4, too.
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        probe.bind(tuple(address))
        return int(probe.getsockname()[1])


def _bind_errno(address: Address) -> int:
    """Returns the error number of binding an address, 0 if it can be bound."""
    try:
        _probe(address)
    except OSError as error:
        return error.errno or errno.EINVAL
    return 0


def _free_port(hosts: Sequence[str]) -> int:
    """Returns a port that is free on all hosts."""
    while True:
        port = _probe(Address(hosts[0], 0))
        if all(_bind_errno(Address(host, port)) != errno.EADDRINUSE for host in hosts[1:]):
            return port


def _socket_problem(address: UnixSocket) -> str | None:
    """Returns why a Unix socket cannot be bound. gRPC would replace a socket in use, and any other file."""
    path, directory = address.path, address.path.parent
    try:
        if not directory.is_dir():
            return f"{directory} is not a directory"
        if not os.access(directory, os.W_OK | os.X_OK):
            return f"{directory} is not writable"
        if not path.exists():
            return None
        if not stat.S_ISSOCK(path.stat().st_mode):
            return "a file of this name exists, and it is not a socket"
    except OSError as error:
        return error.strerror
    with socket.socket(socket.AF_UNIX) as probe:
        return "another server uses it" if probe.connect_ex(str(path)) == 0 else None
