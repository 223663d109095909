"""Refuses requests that name another machine, where only this machine reaches the port and no token protects it.

A page of another site may reach a port of this machine by a name that it controls (DNS rebinding), and could then read
answers.
"""

import ipaddress
import re
from collections.abc import Set

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[0-9A-Za-z.-]+)(?::\d{1,5})?")
"""A name or an address, and a port (RFC 9110, section 7.2)."""


class HostGuard:
    """Refuses requests whose `Host` does not name this machine, except for `open_paths`."""

    def __init__(self, app: ASGIApp, *, open_paths: Set[str]) -> None:
        self._app = app
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes an allowed request on."""
        app = self._app
        if scope["path"] not in self._open_paths and not is_local(Headers(scope=scope).get("Host", "")):
            message = "open this page as localhost: other names may be those of a site that attacks your browser\n"
            app = PlainTextResponse(message, 403)
        await app(scope, receive, send)


def is_local(host: str) -> bool:
    """Returns whether the value of a `Host` header names this machine."""
    match = HOST.fullmatch(host)
    if match is None:
        return False
    name = match[1].strip("[]").lower()
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
