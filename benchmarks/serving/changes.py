"""A server whose bundle is swapped, and which is restarted, while others call it."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import grpc
import msgspec

from benchmarks.serving.setting import NO_CACHE, PATIENT, Setting
from chaja.v1 import AdminServiceStub, ReloadRequest
from sample.server_process import ServerProcess, running_server
from server.encoding.manifest import MANIFEST_FILE, read_manifest

Change = Literal["replace", "SIGHUP", "Reload", "restart"]
CHANGES: tuple[Change, ...] = ("SIGHUP", "replace", "restart", "Reload", "replace", "restart", "SIGHUP")
"""In this order, each when the one before is done."""

WATCH_SECONDS = "0.5"
PATIENCE_SECONDS = 300.0
"""What is loaded anew gets only the CPU that calls leave, and these leave none: a minute each on two cores."""

SERVING = "serving model "


class ChangeFailed(Exception):
    """The server could not make a change; the message is what it said."""


class Changing:
    """A server of a bundle that may be replaced.

    Attributes:
        server: The process that serves now.
        swapped: How often another bundle was put in the place of the one that was served.
        restarted: How often the server was ended and started again, on the same port.
    """

    server: ServerProcess

    def __init__(self, setting: Setting, bundle: Path) -> None:
        self._setting = setting
        self._bundle = bundle
        self._listen = "127.0.0.1:0"
        self._stack = contextlib.ExitStack()
        self.swapped = self.restarted = 0

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._start)
        return self

    async def __aexit__(
        self, type: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._stack.close)

    @property
    def address(self) -> str:
        """Where the server listens, and will again after each restart."""
        return self.server.address

    async def make(self, change: Change) -> None:
        """Makes a change and waits until it is done."""
        if change == "restart":
            await asyncio.to_thread(self._stack.close)
            await asyncio.to_thread(self._start)
            self.restarted += 1
            return
        served = self._times_served()
        if change == "replace":
            await asyncio.to_thread(self._replace)
        elif change == "SIGHUP":
            self.server.process.send_signal(signal.SIGHUP)
        else:
            async with grpc.aio.insecure_channel(self.address) as channel:
                stub: Any = AdminServiceStub(channel)
                await stub.Reload(ReloadRequest(), timeout=PATIENCE_SECONDS)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self._times_served() == served:
                if faults := [line for line in self.server.lines if " ERROR " in line]:
                    raise ChangeFailed(faults[-1])
                await asyncio.sleep(0.05)
        self.swapped += 1

    def _start(self) -> None:
        flags = ("--bundle", str(self._bundle), "--listen", self._listen, "--watch-seconds", WATCH_SECONDS)
        arguments = self._setting.arguments(*NO_CACHE, *PATIENT, *flags)
        self.server = self._stack.enter_context(running_server(arguments))
        self._listen = self.server.address

    def _times_served(self) -> int:
        return sum(SERVING in line for line in self.server.lines)

    def _replace(self) -> None:
        """Puts a copy whose manifest has another name in the bundle's place: for a moment there is none."""
        copy, old = self._bundle.with_name("new"), self._bundle.with_name("old")
        shutil.copytree(self._bundle, copy)
        manifest = read_manifest(copy)
        renamed = msgspec.structs.replace(manifest, name=f"{manifest.name}+").sealed()
        (copy / MANIFEST_FILE).write_bytes(msgspec.json.encode(renamed))
        self._bundle.rename(old)
        copy.rename(self._bundle)
        shutil.rmtree(old)
