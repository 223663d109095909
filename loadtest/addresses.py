"""Addresses as a person writes them, and as gRPC takes them."""

import ipaddress
import re
import urllib.parse

from loadtest.errors import UsageError

FORMS = "HOST:PORT, dns:HOST:PORT, ipv4:ADDRESS:PORT, ipv6:[ADDRESS]:PORT or unix:PATH"
_LARGEST_PORT = 65_535

_SEPARATOR = re.compile(r",(?=\s*(?:unix|unix-abstract|dns|ipv4|ipv6):|\[?[^/,]*:\d+(?:,|$))")
"""A comma before something that looks like an address: a path may have commas, too."""


def split_addresses(text: str) -> list[str]:
    """Returns the addresses of a list with commas. After `ipv4:` or `ipv6:`, further addresses may omit the scheme."""
    addresses, scheme = [], ""
    for part in map(str.strip, _SEPARATOR.split(text)):
        own = re.match(r"(unix|unix-abstract|dns|ipv4|ipv6):", part)
        scheme = own[0] if own else scheme
        bare_ip = scheme in ("ipv4:", "ipv6:") and own is None
        addresses.append(scheme + part if bare_ip else part)
    return addresses


def grpc_uri(address: str) -> str:
    """Returns an address as gRPC takes it.

    Raises:
        UsageError: The address is malformed.
    """
    scheme, _, rest = address.partition(":")
    if scheme in ("unix", "unix-abstract"):
        path = rest.removeprefix("//") if scheme == "unix" else rest
        if not path:
            raise UsageError(f"{address!r} is not an address; write {FORMS}")
        return f"{scheme}:{urllib.parse.quote(path)}"
    if scheme in ("ipv4", "ipv6"):
        host, port = _host_and_port(rest, address)
        try:
            ip = ipaddress.ip_address(urllib.parse.unquote(host).strip("[]").partition("%")[0])
        except ValueError:
            raise UsageError(f"{address!r} has no IP address; write {FORMS}") from None
        if (scheme == "ipv6") != (ip.version == 6):
            raise UsageError(f"{address!r} has an address of IP version {ip.version}; write {FORMS}")
        return f"{scheme}:{host}:{port}"
    server = ""
    if scheme == "dns" and not rest.isdigit():
        if rest.startswith("//"):
            server, _, rest = rest.removeprefix("//").partition("/")
    else:
        rest = address
    host, port = _host_and_port(rest, address)
    try:
        ascii_host = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        raise UsageError(f"{address!r} has an invalid host name") from None
    return f"dns://{server}/{ascii_host}:{port}"


def shown(uri: str) -> str:
    """Returns an address of `grpc_uri` as a person writes it."""
    return urllib.parse.unquote(uri.removeprefix("dns:///"))


def is_loopback(host: str) -> bool:
    """Returns whether a host is certainly the machine itself."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:  # The name may have any address.
        return False


def is_local(uri: str) -> bool:
    """Returns whether an address of `grpc_uri` is certainly on the machine that connects to it."""
    scheme, _, rest = uri.partition(":")
    return scheme.startswith("unix") or is_loopback(rest.rpartition("/")[2].rpartition(":")[0])


def _host_and_port(text: str, address: str) -> tuple[str, str]:
    host, _, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if (
        not host
        or "/" in host
        or "," in host
        or (":" in host and not bracketed)
        or not (port.isascii() and port.isdigit())
        or not 0 < int(port) <= _LARGEST_PORT
    ):
        raise UsageError(f"{address!r} is not an address; write {FORMS}")
    return host, port
