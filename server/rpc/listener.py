"""Listens with a grpc.aio server, and replaces the server when it crashes.

grpcio 1.85 decodes the `:path` of a call outside any handler (`_server_main_loop` in `aio/server.pyx.pxi`). One frame
with a path that is not UTF-8 ends the server: it closes its sockets, while the process lives on. No option prevents it.
When grpcio is fixed, only `start` and `stop` are needed.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence

import grpc

from server.errors import AddressError
from server.logs.rate import RepeatedLine
from server.rpc.addresses import bind, check, resolve
from server.setting_types import Address, UnixSocket

log = logging.getLogger(__name__)

CHECK_SECONDS = 0.1
"""Interval between checks for a crash. grpc.aio reports it only when `wait_for_termination` times out."""

REBIND_SECONDS = 5.0
"""Maximum time for a crashed server to close its sockets."""

MAX_CRASHED = 3
"""Crashed servers whose calls may finish. Each counts its connections separately, so they must be few."""


class Listener:
    """A server on an address, for the event loop only. `lost` gets an AddressError if it cannot listen again."""

    def __init__(
        self,
        new_server: Callable[[], grpc.aio.Server],
        credentials: Callable[[], grpc.ServerCredentials | None],
        *,
        drain_seconds: float,
        on_restart: Callable[[], None],
    ) -> None:
        """Calls of a crashed server get `drain_seconds` to finish."""
        self._new_server = new_server
        self._credentials = credentials
        self._drain_seconds = drain_seconds
        self._on_restart = on_restart
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._crashed: deque[grpc.aio.Server] = deque()
        self._ending: set[asyncio.Task[None]] = set()
        self._restarts = RepeatedLine(
            log, "a client crashed gRPC; the server listens again (%d times since it started; see SECURITY.md)"
        )

    async def start(self, address: Address | UnixSocket) -> Address | UnixSocket:
        """Starts to listen; returns the address with the port that the system chose. Raises AddressError."""
        targets = await resolve(address)
        self._server = self._new_server()
        port = bind(self._server, targets, self._credentials())
        await self._server.start()
        targets = [each._replace(port=port) if isinstance(each, Address) else each for each in targets]
        self._watching = asyncio.create_task(self._watch(targets))
        return address._replace(port=port) if isinstance(address, Address) else address

    async def stop(self, grace_seconds: float) -> None:
        """Rejects new calls, and gives calls in flight `grace_seconds` to finish."""
        self._watching.cancel()
        await asyncio.wait([self._watching])
        await asyncio.gather(*(_end(each, grace_seconds) for each in (*self._crashed, self._server)))

    async def _watch(self, targets: Sequence[Address | UnixSocket]) -> None:
        while True:
            try:
                if not await self._server.wait_for_termination(CHECK_SECONDS):
                    return
            except Exception:  # The exception of the crash, which a client caused.
                self._end_soon(self._server, self._drain_seconds)
                self._crashed.append(self._server)
                if len(self._crashed) > MAX_CRASHED:
                    self._end_soon(self._crashed.popleft(), 0)
                try:
                    await self._replace(targets)
                except Exception as error:  # The process is useless without a server: `lost` ends it.
                    lost = error if isinstance(error, AddressError) else AddressError(f"cannot listen again: {error!r}")
                    self.lost.set_exception(lost)
                    return
                self._on_restart()
                self._restarts.add()

    async def _replace(self, targets: Sequence[Address | UnixSocket]) -> None:
        ends = time.monotonic() + REBIND_SECONDS
        while time.monotonic() < ends:
            with contextlib.suppress(AddressError):
                for each in targets:
                    check(each)
                break
            await asyncio.sleep(0.005)
        server = self._new_server()
        bind(server, targets, self._credentials())
        self._server = server
        await server.start()

    def _end_soon(self, server: grpc.aio.Server, grace_seconds: float) -> None:
        task = asyncio.create_task(_end(server, grace_seconds))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


async def _end(server: grpc.aio.Server, grace_seconds: float) -> None:
    """Stops a server, which may crash while it stops: then the second call waits for the end."""
    try:
        await server.stop(grace_seconds)
    except Exception:  # The exception of the crash.
        await server.stop(grace_seconds)
