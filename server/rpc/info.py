"""InfoService: describes the server's model, catalogue and limits."""

import dataclasses
from typing import Any

from chaja import __version__
from chaja.v1 import GetServerInfoRequest, GetServerInfoResponse, InfoServiceServicer
from chaja.v1 import Limits as LimitsMessage
from server.attributes.facets import MOST_VALUES
from server.encoding.kind import Side
from server.engine import EngineSlot
from server.rpc.describe import describe_catalogue, describe_model
from server.rpc.limits import MAX_FACETS, Limits


class InfoServicer(InfoServiceServicer):
    """Implements `chaja.v1.InfoService`; the proto file states its contract."""

    def __init__(self, slot: EngineSlot, limits: Limits, *, writable: bool) -> None:
        self._slot = slot
        self._limits = limits
        self._writable = writable

    async def GetServerInfo(self, request: GetServerInfoRequest, context: Any) -> GetServerInfoResponse:
        """Describes the server."""
        engine = self._slot.engine
        return GetServerInfoResponse(
            server_version=__version__,
            model=describe_model(engine),
            catalogue=describe_catalogue(engine, writable=self._writable),
            limits=LimitsMessage(
                max_query_tokens=engine.manifest.tower(Side.QUERY).max_tokens,
                max_facets=MAX_FACETS,
                max_facet_values=MOST_VALUES,
                **dataclasses.asdict(self._limits),
            ),
        )
