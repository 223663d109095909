"""The flag `--version` of the server and the exporter."""

import argparse
from typing import Any, NoReturn


class ShowVersion(argparse.Action):
    """Prints the version of Chaja and exits."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        """Prints the version."""
        from chaja import __version__  # noqa: PLC0415  it imports gRPC, which is slow

        print(f"chaja {__version__}")
        parser.exit()
