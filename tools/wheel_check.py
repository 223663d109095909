"""Checks, in an environment that holds only the wheel, that the client imports and that nothing else is installed."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys

import chaja
from chaja.v1 import SearchRequest

EXPECTED = {"chaja", "grpcio", "protobuf", "typing_extensions", "typing-extensions", "pip", "setuptools"}


def main() -> None:
    """Exits with a message if the wheel is wrong."""
    installed = {distribution.metadata["Name"] for distribution in importlib.metadata.distributions()}
    if unexpected := installed - EXPECTED:
        sys.exit(f"error: the wheel installed {sorted(unexpected)}; it may depend on grpcio and protobuf only")
    if extras := importlib.metadata.metadata("chaja").get_all("Provides-Extra"):
        sys.exit(f"error: the wheel offers the extras {extras}, which would install no program: use groups")
    for name in ("server", "export", "loadtest", "sample", "tools"):
        if importlib.util.find_spec(name) is not None:
            sys.exit(f"error: the wheel installed a package called {name}")
    with chaja.connect("localhost:1") as client:
        client.search.Search.with_call  # noqa: B018  the stub exists
    print(f"the wheel of chaja {chaja.__version__} is complete: {SearchRequest.DESCRIPTOR.full_name}")


if __name__ == "__main__":
    main()
