"""The command line: `python -m loadtest attack | report | plot | compare | slo | worker`."""

import argparse
import io
import os
import signal
import sys

# gRPC reads it on import. An error's message contains what it would log.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from chaja import __version__
from loadtest.commands import attack, compare, plot, report, slo, worker
from loadtest.errors import ExitCode, LoadtestError
from loadtest.programs import ERROR, PROGRAM


def main() -> int:
    """Runs a command; returns the exit code (see `loadtest.errors.ExitCode`)."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Measures a gRPC server as its callers see it: latency from the planned send, in an open loop.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"chaja {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (attack, report, plot, compare, slo, worker):
        command.add_parser(commands)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # A path may have bytes that are no text.
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGTERM keeps partial results, as Ctrl-C does.
    try:
        try:
            options = parser.parse_args()
            return int(options.run(options))
        finally:  # `--help` raises SystemExit.
            sys.stdout.flush()
    except LoadtestError as error:
        print(f"{ERROR}: {error}", file=sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:  # The reader of our output, such as `head`, has closed the pipe.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for file in (sys.stdout, sys.stderr):  # The interpreter flushes both again when it exits.
            os.dup2(nowhere, file.fileno())
        return int(ExitCode.CLOSED_PIPE)


if __name__ == "__main__":
    sys.exit(main())
