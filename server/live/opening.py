"""Opens a bundle in a thread of its own: the start of a server imports everything else meanwhile."""

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
        BundleError: It is missing, damaged, foreign, or wrong on this CPU.
        SettingsError: Its vectors cannot be kept in the storage.
    """
    _begin(directory, storage)
    return _logged(_open_verified(directory, native=native))


class Opening:
    """A bundle that a thread opens and verifies. Nothing here keeps it in memory once it is taken."""

    def __init__(self, directory: Path, *, native: bool, storage: Storage) -> None:
        """Begins to do what `open_bundle` does; raises its errors as far as the manifest shows them."""
        _begin(directory, storage)
        thread = ThreadPoolExecutor(1, thread_name_prefix="opener")
        self._verified: Future[_Verified] | None = thread.submit(_open_verified, directory, native=native)
        thread.shutdown(wait=False)

    def take(self) -> Bundle:
        """Returns the bundle when it is open, once; raises BundleError."""
        assert self._verified, "it is taken once"
        verified, self._verified = self._verified, None
        return _logged(verified.result())


def _begin(directory: Path, storage: Storage) -> None:
    check_storage(storage, read_manifest(directory).similarity)
    log.info("opening the bundle %s", directory)


def _open_verified(directory: Path, *, native: bool) -> _Verified:
    bundle = Bundle(directory, native=native)
    return _Verified(bundle, bundle.verify())


def _logged(verified: _Verified) -> Bundle:
    """Logs how well a bundle computes. Not in the opener's thread: the line would come after that of a failed start."""
    bundle, worst_cosine = verified
    log.info(
        "model %s computes well on this CPU (%s): worst cosine to fp32 %.4f",
        bundle.manifest.name,
        bundle.encoder_name,
        worst_cosine,
    )
    return bundle
