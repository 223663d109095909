"""A server of the transport, and a client that speaks to it frame by frame."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.server.transport.script import Script, scripted
from tests.server.transport.serving import Serving, serving


@pytest.fixture
async def running() -> AsyncIterator[Serving]:
    async with serving(max_message_bytes=5_000_000) as server:
        yield server


@pytest.fixture
async def client(running: Serving) -> AsyncIterator[Script]:
    async with scripted(running.port) as script:
        yield script
