"""Opens a bundle in a separate thread, while the starting server imports its other modules."""

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from server.encoding.bundle import Bundle
from server.encoding.manifest import read_manifest
from server.vectors.storage import Storage, check_storage

log = logging.getLogger(__name__)


class _Verified(NamedTuple):
    bundle: Bundle
    worst_cosine: float


def open_bundle(directory: Path, *, native: bool, storage: Storage) -> Bundle:
    """Opens and verifies a bundle in the calling thread.

    Raises:
        BundleError: The bundle is missing, damaged or of another format, or computes wrong vectors on this CPU.
        SettingsError: The storage does not fit the bundle's similarity.
    """
    _begin(directory, storage)
    return _logged(_open_verified(directory, native=native))


class Opening:
    """A bundle that a thread opens and verifies. After `take`, this object does not keep it in memory."""

    def __init__(self, directory: Path, *, native: bool, storage: Storage) -> None:
        """Starts `open_bundle` in a thread. Raises at once the errors that the manifest shows."""
        _begin(directory, storage)
        thread = ThreadPoolExecutor(1, thread_name_prefix="opener")
        self._verified: Future[_Verified] | None = thread.submit(_open_verified, directory, native=native)
        thread.shutdown(wait=False)

    def take(self) -> Bundle:
        """Waits for the bundle and returns it; raises BundleError. Call it once."""
        assert self._verified, "the bundle was taken already"
        verified, self._verified = self._verified, None
        return _logged(verified.result())


def _begin(directory: Path, storage: Storage) -> None:
    check_storage(storage, read_manifest(directory).similarity)
    log.info("opening the bundle %s", directory)


def _open_verified(directory: Path, *, native: bool) -> _Verified:
    bundle = Bundle(directory, native=native)
    return _Verified(bundle, bundle.verify())


def _logged(verified: _Verified) -> Bundle:
    """Logs that a bundle is verified. Not in the opener's thread, which might log after the error of a failed start."""
    bundle, worst_cosine = verified
    log.info(
        "model %s is verified on this CPU (%s): worst cosine to fp32 %.4f",
        bundle.manifest.name,
        bundle.encoder_name,
        worst_cosine,
    )
    return bundle
