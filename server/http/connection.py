"""One connection of the HTTP port: uvicorn's HTTP/1.1 protocol, with one answer each."""

import asyncio
import logging
from collections.abc import Mapping
from email.utils import formatdate

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

MAX_HEAD_BYTES = 16 * 1024
"""Maximum size of a request's first line and headers."""

PART_BYTES = 256
"""Bytes that are parsed at once. The chunks of a body in a longer part could take a second of CPU time."""


def uvicorn_config(app: ASGIApp, headers: Mapping[str, str]) -> Config:
    """Returns the configuration of all connections; every answer of `app` gets the `headers`.

    uvicorn logs nothing: a client could make it log a line for each request. `app` logs its own errors.
    """
    config = Config(
        app,
        interface="asgi3",
        ws="none",
        lifespan="off",
        workers=1,  # Otherwise the environment decides.
        log_config=None,
        log_level=logging.CRITICAL + 1,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        headers=[*headers.items(), ("Connection", "close")],
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
    )
    config.load()
    return config


class Connection(H11Protocol):
    """Answers one request, and ignores its body. `closed` is set when a connection that was made has ended."""

    def __init__(self, config: Config) -> None:
        state = ServerState()  # For this connection alone, so that `abort` ends its tasks and no others.
        state.default_headers = [(b"Date", formatdate(usegmt=True).encode()), *config.encoded_headers]
        super().__init__(config, state, app_state={})
        self.closed = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        """Sets `closed`."""
        super().connection_lost(exc)
        self.closed.set()

    def data_received(self, data: bytes) -> None:
        """Reads up to the end of the request's headers."""
        for start in range(0, len(data), PART_BYTES):
            if self.cycle or self.transport.is_closing():
                return
            super().data_received(data[start : start + PART_BYTES])

    def send_400_response(self, msg: str) -> None:
        """Answers an invalid request. If its headers were valid, the application answers as well: that is dropped."""
        super().send_400_response(msg)
        if self.cycle:
            self.cycle.disconnected = True

    def abort(self) -> None:
        """Ends the connection and its request at once."""
        if self.transport:
            self.transport.abort()
        for task in self.tasks:
            task.cancel()
