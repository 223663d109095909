"""The real server with an encoder that is slow, hangs or dies on purpose: `python -m tests.integration.slow_server`.

Only callers' texts are slow: the catalogue is imported at normal speed before the server serves.
"""

import os
import sys
import threading
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from server import app
from server.__main__ import main
from server.encoding.bundle import Bundle
from server.encoding.kind import TextKind
from server.encoding.tokenizer import Tokens
from server.live import opening
from server.rpc.health import HealthServicer

MODULE = "tests.integration.slow_server"
SECONDS_PER_TOKEN = "SLOW_SECONDS_PER_TOKEN"
"""Environment variable with the time for each token."""

HANG = "~~hang"
"""A query that blocks a worker permanently."""

DIE = "~~die"
"""A query that ends a worker."""


serving = threading.Event()


class SlowBundle(Bundle):
    """Encodes as slowly as the environment variable says."""

    def encode(self, tokens: Sequence[Tokens]) -> NDArray[np.float32]:
        if serving.is_set() and threading.current_thread().name.startswith("worker"):
            texts = [each.ids for each in tokens]
            time.sleep(float(os.environ.get(SECONDS_PER_TOKEN, "0")) * sum(map(len, texts)))
            if self._ids_of(HANG) in texts:
                threading.Event().wait()
            if self._ids_of(DIE) in texts:
                raise SystemExit("ended by a test")
        return super().encode(tokens)

    def _ids_of(self, text: str) -> list[int]:
        return self.tokenize([(text, TextKind.QUERY)])[0].ids


class SlowHealth(HealthServicer):
    """Makes the bundle slow once the server serves."""

    def serve(self) -> None:
        serving.set()
        super().serve()


if __name__ == "__main__":
    setattr(opening, "Bundle", SlowBundle)  # noqa: B010  mypy forbids the assignment
    setattr(app, "HealthServicer", SlowHealth)  # noqa: B010
    sys.exit(main())
