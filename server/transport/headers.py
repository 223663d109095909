"""Reads the header blocks of one connection.

A client repeats itself: most blocks are the same bytes as one before. They mean the same only while the dynamic table
is the same, so what is remembered of blocks is forgotten whenever the table changes.
"""

from __future__ import annotations

from server.transport.decoder import BlockError, Decoder, ListTooLarge
from server.transport.frames import COMPRESSION_ERROR, ENHANCE_YOUR_CALM, ConnectionFault
from server.transport.request import Request, read_request

LARGEST_LIST_BYTES = 24 * 1024
"""Beyond it decoding stops, and with it the connection. What is larger than `MAX_HEADER_LIST_BYTES` is only refused."""

KNOWN_BLOCKS = 64
LARGEST_KNOWN_BYTES = 1024
"""What is remembered, and so what a client can make us remember."""


class HeaderReader:
    """Reads blocks in the order in which they come: every one, for later ones build upon it."""

    def __init__(self) -> None:
        self._decoder = Decoder(LARGEST_LIST_BYTES)
        self._known: dict[bytes, Request] = {}

    def read(self, block: bytes) -> Request:
        """Returns what a block says.

        Raises:
            ConnectionFault: It cannot be decoded, or becomes too large.
        """
        known = self._known.get(block)
        if known is not None:
            return known
        self._decoder.changed = False
        try:
            request = read_request(self._decoder.decode(block))
        except ListTooLarge:
            raise ConnectionFault(ENHANCE_YOUR_CALM, f"headers of more than {LARGEST_LIST_BYTES} bytes") from None
        except BlockError as error:
            raise ConnectionFault(COMPRESSION_ERROR, f"headers that cannot be decoded: {error}") from None
        if self._decoder.changed or len(self._known) >= KNOWN_BLOCKS:
            self._known.clear()
        if not self._decoder.changed and len(block) <= LARGEST_KNOWN_BYTES:
            self._known[block] = request
        return request
