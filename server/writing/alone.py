"""Work that one server of a store does at a time, while the others wait."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from server.catalogue.store import Store

log = logging.getLogger(__name__)

BUSY_SECONDS = 1.0
"""Time after which a server looks again whether another one still does the work."""


@contextlib.asynccontextmanager
async def alone(store: Store, work: str) -> AsyncIterator[None]:
    """Waits until no other process does this work on the store, and keeps others from it; see `Store.alone`."""
    waited = False
    with contextlib.ExitStack() as stack:
        while not await asyncio.to_thread(stack.enter_context, store.alone(work)):
            stack.close()
            if not waited:
                log.info("another server does the same work: waiting (%s)", work)
                waited = True
            await asyncio.sleep(BUSY_SECONDS)
        yield
