"""The real server, whose load waits for a file: `GATE=FILE python -m tests.integration.pages.gated_server`."""

import os
import sys
import time
from pathlib import Path
from typing import Any

from server import reloading
from server.__main__ import main
from server.live.loading import Loaded, load

MODULE = "tests.integration.pages.gated_server"
GATE = "GATE"
"""Environment variable with the path of the file."""


def load_later(*arguments: Any, **options: Any) -> Loaded:
    while not Path(os.environ[GATE]).exists():
        time.sleep(0.01)
    return load(*arguments, **options)


if __name__ == "__main__":
    reloading.load = load_later  # type: ignore[attr-defined]
    sys.exit(main())
