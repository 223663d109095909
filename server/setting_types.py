"""Types of settings, and their parsers. A parser raises a ValueError that names the expected value."""

import argparse
import math
import os
import re
from collections.abc import Callable, Sequence
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Any, NamedTuple


class Address(NamedTuple):
    """A host and a port to listen on. Port 0 lets the system choose."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str, *, example: str = "127.0.0.1:50051") -> Address:
    """Parses `host:port` or `[IPv6]:port`; an error shows the `example`."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not _is_host(host) or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"expected host:port with a port from 0 to 65535, as in {example}")
    return Address(host, int(port))


def _is_host(text: str) -> bool:
    """Returns whether a text can be a name, an IPv4 address or an IPv6 address."""
    if ":" not in text:
        return re.fullmatch(r"[\w.-]+", text) is not None
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


class UnixSocket(NamedTuple):
    """The path of a Unix domain socket to listen on."""

    path: Path

    def __str__(self) -> str:
        return f"unix:{self.path}"


MAX_SOCKET_PATH_BYTES = 107
"""Length of `sun_path` on Linux, without the terminating zero."""

TARGET_CHARACTERS = "%#?,"
"""Characters with a special meaning in a gRPC target: server and clients would use different paths."""


def parse_listen(text: str) -> Address | UnixSocket:
    """Parses `host:port`, `[IPv6]:port` or `unix:/path`."""
    if not text.startswith("unix:"):
        return parse_address(text)
    path = Path(text.removeprefix("unix:")).absolute()
    unusable = any(character in str(path) for character in TARGET_CHARACTERS)
    if text == "unix:" or unusable or len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
        raise ValueError(
            f"expected unix: and a path of at most {MAX_SOCKET_PATH_BYTES} bytes, without {' '.join(TARGET_CHARACTERS)}"
        )
    return UnixSocket(path)


class CollectorAddress(NamedTuple):
    """The address of an OTLP collector, and whether to connect with TLS."""

    address: Address
    tls: bool


def parse_collector(text: str) -> CollectorAddress:
    """Parses `host:port`, `http://host:port`, or `https://host:port`, which means TLS."""
    scheme, separator, rest = text.rpartition("://")
    if separator and scheme not in ("http", "https"):
        raise ValueError("expected host:port, http://host:port or https://host:port")
    return CollectorAddress(parse_address(rest, example="127.0.0.1:4317"), scheme == "https")


def parse_switch(text: str) -> bool:
    """Parses `on` or `off`."""
    return one_of(("on", "off"))(text) == "on"


def one_of(choices: Sequence[str]) -> Callable[[str], str]:
    """Returns a parser of one of the given words."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"expected {', '.join(choices[:-1])} or {choices[-1]}")
        return text

    return parse


def whole_number(minimum: int, maximum: int = 2**31 - 1) -> Callable[[str], int]:
    """Returns a parser of whole numbers in a range. The default maximum is that of the protocol's int32."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,18}", text):
            raise ValueError("expected a whole number")
        value = int(text)
        if not minimum <= value <= maximum:
            raise ValueError(f"expected a whole number from {minimum} to {maximum}")
        return value

    return parse


NUMBER = re.compile(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)(e-?[0-9]+)?")


def number(expected: str, accepts: Callable[[float], bool]) -> Callable[[str], float]:
    """Returns a parser of the numbers that `accepts` accepts; `expected` describes them."""

    def parse(text: str) -> float:
        # `float` also accepts spaces, underscores and digits of other scripts.
        value = float(text) if NUMBER.fullmatch(text) else math.nan
        if not accepts(value):
            raise ValueError(f"expected {expected}")
        return value

    return parse


seconds = number("a number of seconds, 0 or more", lambda value: 0 <= value < math.inf)
positive_seconds = number("a number of seconds, more than 0", lambda value: 0 < value < math.inf)
fraction = number("a number from 0 to 1", lambda value: 0 <= value <= 1)
weight = number("a number that is more than 0", lambda value: 0 < value < math.inf)


def typed(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Returns the parser of an argument's type, whose error argparse shows."""

    def parsed(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parsed
