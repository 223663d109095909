"""InfoService: what the server serves and what it allows."""

from __future__ import annotations

from typing import Any

from chaja import __version__
from chaja.v1 import GetServerInfoRequest, GetServerInfoResponse, InfoServiceServicer
from chaja.v1 import Limits as LimitsMessage
from server.encoding.kind import Side
from server.engine import EngineSlot
from server.rpc.describe import describe_catalogue, describe_model
from server.rpc.limits import Limits


class InfoServicer(InfoServiceServicer):
    """Implements `chaja.v1.InfoService`; its contract stands in the proto file."""

    def __init__(self, slot: EngineSlot, limits: Limits, *, writable: bool) -> None:
        self._slot = slot
        self._limits = limits
        self._writable = writable

    async def GetServerInfo(self, request: GetServerInfoRequest, context: Any) -> GetServerInfoResponse:
        """Describes the server."""
        engine, limits = self._slot.engine, self._limits
        return GetServerInfoResponse(
            server_version=__version__,
            model=describe_model(engine),
            catalogue=describe_catalogue(engine, writable=self._writable),
            limits=LimitsMessage(
                max_query_characters=limits.max_query_characters,
                max_query_tokens=engine.manifest.tower(Side.QUERY).max_tokens,
                max_limit=limits.max_limit,
                max_batch_queries=limits.max_batch_queries,
                max_encode_texts=limits.max_encode_texts,
                max_text_characters=limits.max_text_characters,
                max_message_bytes=limits.max_message_bytes,
                max_write_documents=limits.max_write_documents,
                max_document_characters=limits.max_document_characters,
                max_page_size=limits.max_page_size,
            ),
        )
