"""Run inside an environment that holds only the wheel: does the client import, and is nothing else there?"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys

import chaja
from chaja.v1 import SearchRequest

EXPECTED = {"chaja", "grpcio", "protobuf", "typing_extensions", "typing-extensions", "pip", "setuptools"}


def main() -> None:
    """Exits with a message if the wheel is not what it should be."""
    installed = {distribution.metadata["Name"] for distribution in importlib.metadata.distributions()}
    if unexpected := installed - EXPECTED:
        sys.exit(f"error: the wheel brought {sorted(unexpected)}; it may need grpcio and protobuf alone")
    for name in ("server", "export", "loadtest", "sample", "tools"):
        if importlib.util.find_spec(name) is not None:
            sys.exit(f"error: the wheel put a package called {name} into site-packages")
    with chaja.connect("localhost:1") as client:
        client.search.Search.with_call  # noqa: B018  the stub is there
    print(f"the wheel of chaja {chaja.__version__} is whole: {SearchRequest.DESCRIPTOR.full_name}")


if __name__ == "__main__":
    main()
