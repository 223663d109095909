"""Opens a bundle in a thread of its own: the start of a server imports everything else meanwhile."""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from server.encoding.bundle import Bundle

log = logging.getLogger(__name__)


class Opening:
    """A bundle that a thread opens and verifies. Nothing here keeps it in memory once it is taken."""

    def __init__(self, directory: Path, *, native: bool) -> None:
        """Begins to open the bundle in `directory`; `native` allows the native encoder."""
        thread = ThreadPoolExecutor(1, thread_name_prefix="opener")
        self._bundle: Future[Bundle] | None = thread.submit(open_verified, directory, native=native)
        thread.shutdown(wait=False)

    def take(self) -> Bundle:
        """Returns the bundle when it is open, once.

        Raises:
            BundleError: It is missing, damaged, foreign, or wrong on this CPU.
        """
        assert self._bundle, "it is taken once"
        bundle, self._bundle = self._bundle, None
        return bundle.result()


def open_verified(directory: Path, *, native: bool) -> Bundle:
    """Opens the bundle in `directory` and verifies it on this CPU.

    Raises:
        BundleError: It is missing, damaged, foreign, or wrong on this CPU.
    """
    log.info("opening the bundle %s", directory)
    bundle = Bundle(directory, native=native)
    worst = bundle.verify()
    log.info(
        "model %s computes well on this CPU (%s): worst cosine to fp32 %.4f",
        bundle.manifest.name,
        bundle.encoder_name,
        worst,
    )
    return bundle
