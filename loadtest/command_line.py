"""The command line: `python -m loadtest attack | report | plot | compare | slo | worker`."""

import contextlib
import io
import os
import signal
import sys
from pathlib import Path

from chaja import __version__
from loadtest.commands import attack, compare, plot, report, slo, worker
from loadtest.commands.parser import Parser
from loadtest.errors import ExitCode, LoadtestError
from loadtest.programs import ERROR, PROGRAM
from loadtest.reports.text import printable


def run_command() -> int:
    """Runs a command; returns the exit code (see `loadtest.errors.ExitCode`)."""
    parser = Parser(
        prog=PROGRAM,
        description="Measures a gRPC server as its callers see it: latency from the planned send, in an open loop.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"chaja {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (attack, report, plot, compare, slo, worker):
        command.add_parser(commands)
    nowhere = Path(os.devnull)
    sys.stdout, sys.stderr = sys.stdout or nowhere.open("w"), sys.stderr or nowhere.open("w")  # After `>&-`.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # A path may have bytes that are not text.
    for number in (signal.SIGTERM, signal.SIGHUP):  # They keep partial results, as Ctrl-C does.
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup ignores SIGHUP.
            signal.signal(number, signal.default_int_handler)
    try:
        try:
            options = parser.parse_args()
            return int(options.run(options))
        finally:  # `--help` raises SystemExit.
            sys.stdout.flush()
    except LoadtestError as error:
        print(f"{ERROR}: {printable(str(error))}", file=sys.stderr)
        return int(error.exit_code)
    except BrokenPipeError:  # The reader of our output, such as `head`, has closed the pipe.
        _discard_output()
        return int(ExitCode.CLOSED_PIPE)
    except OSError as error:  # The output is a file on a full disk, for example.
        with contextlib.suppress(OSError):
            place = f"{error.filename}: " if error.filename else ""
            print(f"{ERROR}: {printable(f'{place}{error.strerror or error}')}", file=sys.stderr)
        _discard_output()
        return int(ExitCode.USAGE)


def _discard_output() -> None:
    """Discards what is not written yet: the interpreter flushes both files again when it exits."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for file in (sys.stdout, sys.stderr):
        os.dup2(nowhere, file.fileno())
