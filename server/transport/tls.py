"""TLS with the certificates of the moment: the context is asked for anew with every connection."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import cast

log = logging.getLogger(__name__)


class TlsGate(asyncio.Protocol):
    """Stands before a connection until the handshake is done."""

    def __init__(
        self,
        tls: Callable[[], ssl.SSLContext],
        factory: Callable[[], asyncio.Protocol],
        handshakes: set[asyncio.Task[None]],
        handshake_seconds: float,
    ) -> None:
        self._tls = tls
        self._factory = factory
        self._handshakes = handshakes
        self._handshake_seconds = handshake_seconds
        self._early: list[bytes] = []
        self._lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins the handshake."""
        transport = cast(asyncio.Transport, transport)
        transport.pause_reading()
        task = asyncio.get_running_loop().create_task(self._upgrade(transport))
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    def data_received(self, data: bytes) -> None:
        """Keeps what came together with the end of the handshake."""
        self._early.append(data)

    def connection_lost(self, error: Exception | None) -> None:
        """The client has gone."""
        self._lost = True

    async def _upgrade(self, transport: asyncio.Transport) -> None:
        try:
            context = self._tls()
        except Exception:
            log.exception("no TLS for new connections")
            transport.abort()
            return
        loop = asyncio.get_running_loop()
        try:
            secured = await loop.start_tls(
                transport, self, context, server_side=True, ssl_handshake_timeout=self._handshake_seconds
            )
        except OSError as error:  # So are TLS errors, and the timeout.
            log.debug("a TLS handshake failed: %s", error)
            transport.abort()
        else:
            if secured is not None and not self._lost:
                self._hand_over(secured)

    def _hand_over(self, secured: asyncio.Transport) -> None:
        tls: ssl.SSLObject = secured.get_extra_info("ssl_object")
        if tls.selected_alpn_protocol() != "h2":  # RFC 9113, section 3.2
            secured.abort()
            return
        connection = self._factory()
        secured.set_protocol(connection)
        connection.connection_made(secured)
        for data in self._early:
            connection.data_received(data)
