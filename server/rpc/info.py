"""InfoService: what the server serves and what it allows."""

from __future__ import annotations

from typing import Any

from chaja import __version__
from chaja.v1 import (
    Catalogue,
    GetServerInfoRequest,
    GetServerInfoResponse,
    IndexKind,
    InfoServiceServicer,
    Model,
    Similarity,
)
from chaja.v1 import Limits as LimitsMessage
from server.encoding.tokenizer import TextKind
from server.engine import EngineSlot
from server.rpc.limits import Limits

SIMILARITY_OF = {"cosine": Similarity.SIMILARITY_COSINE, "dot": Similarity.SIMILARITY_DOT_PRODUCT}


class InfoServicer(InfoServiceServicer):
    """Implements `chaja.v1.InfoService`; its contract stands in the proto file."""

    def __init__(self, slot: EngineSlot, limits: Limits) -> None:
        self._slot = slot
        self._limits = limits

    async def GetServerInfo(self, request: GetServerInfoRequest, context: Any) -> GetServerInfoResponse:
        """Describes the server."""
        engine = self._slot.engine
        manifest, limits = engine.manifest, self._limits
        max_tokens = {kind: manifest.tower(kind).max_tokens for kind in TextKind}
        return GetServerInfoResponse(
            server_version=__version__,
            model=Model(
                name=manifest.name,
                revision=manifest.revision,
                dimension=manifest.dimension,
                similarity=SIMILARITY_OF[manifest.similarity],
                max_tokens=max_tokens[TextKind.QUERY],
                quantization=manifest.quantization,
                max_document_tokens=max_tokens[TextKind.DOCUMENT],
            ),
            catalogue=Catalogue(
                document_count=len(engine.catalogue.documents),
                vector_count=len(engine.index),
                index_kind=IndexKind.INDEX_KIND_EXACT,
            ),
            limits=LimitsMessage(
                max_query_characters=limits.max_query_characters,
                max_query_tokens=max_tokens[TextKind.QUERY],
                max_limit=limits.max_limit,
                max_batch_queries=limits.max_batch_queries,
                max_encode_texts=limits.max_encode_texts,
                max_text_characters=limits.max_text_characters,
                max_message_bytes=limits.max_message_bytes,
            ),
        )
