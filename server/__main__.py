"""The command line: `python -m server --bundle DIR --data DIR`, or one of the commands of `server.commands`.

Exit codes: 0 after a drain, 1 when the server cannot start or a command cannot be done, 2 for a wrong setting, 130 for
Ctrl-C before it has begun. What went wrong is one line on stderr.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys

# Libraries that would write warnings of their own around our one line; set before they are loaded.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Workers run in parallel themselves: threads of NumPy would stand in their way.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from server.errors import ChajaError, SettingsError
from server.logs import ShowUserTexts
from server.settings import parse_settings


def main() -> int:
    """Runs the server; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    arguments = sys.argv[1:]
    try:
        if arguments and not arguments[0].startswith("-"):
            from server.commands import run  # noqa: PLC0415  a server does not need it

            run(arguments)
            return 0
        settings = parse_settings(arguments)
        if settings.log_texts:
            for handler in logging.getLogger().handlers:
                handler.addFilter(ShowUserTexts())
        # The rest loads for a while: after the settings are known to be right, and beside the opening of the bundle.
        from server.live.opening import Opening  # noqa: PLC0415

        opening = Opening(settings.bundle, native=settings.native, storage=settings.index_storage)
        from server.app import serve  # noqa: PLC0415

        asyncio.run(serve(settings, opening))
    except KeyboardInterrupt:  # Before the server has come to handle signals itself.
        return 130
    except SettingsError as error:
        print(f"server: error: {error}", file=sys.stderr)
        return 2
    except ChajaError as error:  # A StartError, or the disk is full at the start.
        print(f"server: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
