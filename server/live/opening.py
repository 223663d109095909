"""Opens a bundle in a separate thread, while the starting server imports its other modules."""

import logging
from concurrent.futures import ThreadPoolExecutor

from server.encoding.bundle import Bundle
from server.encoding.manifest import read_manifest
from server.settings import Settings
from server.vectors.storage import check_storage

log = logging.getLogger(__name__)


def open_bundle(settings: Settings) -> Bundle:
    """Opens and verifies the settings' bundle in the calling thread; raises BundleError or SettingsError."""
    _begin(settings)
    return _logged(*_open_verified(settings))


class Opening:
    """A bundle that a thread opens and verifies. After `take`, this object does not keep it in memory."""

    def __init__(self, settings: Settings) -> None:
        """Starts `open_bundle` in a thread. Raises at once the errors that the manifest shows."""
        _begin(settings)
        thread = ThreadPoolExecutor(1, thread_name_prefix="opener")
        self._verified = [thread.submit(_open_verified, settings)]
        thread.shutdown(wait=False)

    def take(self) -> Bundle:
        """Waits for the bundle and returns it; raises BundleError. Call it once."""
        return _logged(*self._verified.pop().result())


def _begin(settings: Settings) -> None:
    check_storage(settings.index_storage, read_manifest(settings.bundle).similarity)
    log.info("opening the bundle %s", settings.bundle)


def _open_verified(settings: Settings) -> tuple[Bundle, float]:
    """Returns the bundle and the worst cosine of its golden texts to fp32."""
    bundle = Bundle(settings.bundle, native=settings.native, cutting=settings.cutting)
    return bundle, bundle.verify()


def _logged(bundle: Bundle, worst_cosine: float) -> Bundle:
    """Logs that a bundle is verified. Not in the opener's thread, which might log after the error of a failed start."""
    message = "model %s is verified on this CPU (%s): worst cosine to fp32 %.4f"
    log.info(message, bundle.manifest.name, bundle.encoder_name, worst_cosine)
    return bundle
