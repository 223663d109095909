"""AdminService: operates the server."""

from typing import Any

from chaja.v1 import AdminServiceServicer, ReloadRequest, ReloadResponse
from server.reloading import Reloader
from server.rpc.describe import describe_catalogue, describe_model


class AdminServicer(AdminServiceServicer):
    """Implements `chaja.v1.AdminService`; the proto file states its contract."""

    def __init__(self, reloader: Reloader, *, writable: bool) -> None:
        self._reloader = reloader
        self._writable = writable

    async def Reload(self, request: ReloadRequest, context: Any) -> ReloadResponse:
        """Reloads the bundle and the catalogue."""
        engine = await self._reloader.reload("AdminService.Reload")
        return ReloadResponse(
            model=describe_model(engine), catalogue=describe_catalogue(engine, writable=self._writable)
        )
