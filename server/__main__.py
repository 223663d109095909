"""The command line: `python -m server --bundle DIR --data DIR`, or one of the commands of `server.commands`.

Exit codes: 0 after a drain, or a stop while it loads; 1 if a command fails, or the server cannot start, or listen again
after gRPC crashed; 2 for an invalid setting; 99 if `shadow` finds that a bound is missed; 130 for Ctrl-C during a
command; 128 plus a second signal's number; 141 if a command's output goes to a closed pipe. An error is one line on
stderr.
"""

from __future__ import annotations

import logging
import os
import sys

from server.signals import Signals

signals = Signals()
if __name__ == "__main__":  # The other imports are slow, and a signal must not kill a server that starts.
    signals.hold()

# Silence the libraries' own warnings, so that an error is one line. Set before they are imported.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Workers already run in parallel: threads of NumPy would compete with them.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from server.closed_pipe import until_closed_pipe
from server.command_line import misspelt_variables, parse_settings
from server.commands import COMMANDS, run
from server.core_log import CoreLog
from server.errors import ChajaError, SettingsError, ShadowRefused, StartError
from server.logs.setup import configure_log, flush_log, start_log
from server.memory import keep_large_memory
from server.programs import SERVER_ERROR
from server.settings import Settings

log = logging.getLogger(__name__)


def main() -> int:
    """Runs the server; returns the exit code."""
    start_log()
    arguments = sys.argv[1:]
    signals.hold()
    settings: Settings | None = None
    try:
        if arguments and not arguments[0].startswith("-"):
            signals.release()
            run(arguments)
            return 0
        settings = parse_settings(arguments, commands={name: command.help for name, command in COMMANDS.items()})
        configure_log(settings.log_format, show_texts=settings.log_texts)
        for name, meant in misspelt_variables(os.environ).items():
            log.warning("the variable %s is not a setting; perhaps %s is meant", name, meant)
        keep_large_memory()
        # The other imports are slow: they run after the settings are checked, and while the bundle is opened.
        from server.live.opening import Opening  # noqa: PLC0415

        opening = Opening(settings)
        # An operator who sets the verbosity gets the core's log as it is.
        quiet = os.environ["GRPC_VERBOSITY"] == "NONE"
        core_log = CoreLog() if settings.tls_certificate is not None and quiet else None
        import uvloop  # noqa: PLC0415

        from server.app import serve  # noqa: PLC0415

        uvloop.run(serve(settings, opening, signals, core_log))
    except KeyboardInterrupt:  # During a command: the server handles signals.
        return 130
    except SettingsError as error:
        print(f"{SERVER_ERROR}: {error}", file=sys.stderr)
        return 2
    except ShadowRefused as error:
        print(f"{SERVER_ERROR}: {error}", file=sys.stderr)
        return 99
    except (ChajaError, PermissionError) as error:  # A StartError, or StoreFull during startup.
        if isinstance(error, PermissionError):
            if error.filename is None:  # It is no file that an operator has named.
                raise
            error = StartError(f"{error.filename} cannot be used: {error.strerror}; let this user read it")
        if settings is not None and settings.log_format == "json":
            log.critical("%s", error)
        else:
            flush_log()  # The error is the last line.
            print(f"{SERVER_ERROR}: {error}", file=sys.stderr)
        return 1
    finally:
        flush_log()
    return 0


if __name__ == "__main__":
    sys.exit(until_closed_pipe(main))
