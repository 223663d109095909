"""The command line: `python -m export [--model …] --out DIR`, `… encode`, `… evaluate`, `… tune` and others.

Exit codes: 0 for success, 1 if the model or a file cannot be used, 2 for an invalid flag, 130 for Ctrl-C and SIGTERM,
141 if the output goes to a closed pipe. An error is one line on stderr.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from export.errors import ExportError
from export.options import OneLineParser, open_corpus, parse_options
from export.progress import Progress
from export.report import report_rows
from export.silence import silence_libraries
from server.closed_pipe import until_closed_pipe
from server.encoding.manifest import Manifest, read_manifest
from server.errors import StartError, first_line
from server.programs import EXPORTER, EXPORTER_ERROR

if TYPE_CHECKING:
    from export.speed import Speed


def main(arguments: Sequence[str]) -> int:
    """Runs the exporter; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # Clean up as for Ctrl-C.
    try:
        if arguments[:1] == ["evaluate"]:
            from export.evaluation import command

            command.main(arguments[1:])
        elif arguments[:1] == ["tune"]:
            from export.tuning import command as tuning

            tuning.main(arguments[1:])
        elif arguments[:1] == ["bootstrap"]:
            from export.bootstrap import command as bootstrap

            bootstrap.main(arguments[1:])
        elif arguments[:1] == ["encode"]:
            from export.bulk import command as bulk

            bulk.main(arguments[1:])
        elif arguments[:1] == ["inspect"]:
            _inspect(arguments[1:])
        elif arguments and not arguments[0].startswith("-"):
            print(f"{EXPORTER_ERROR}: unknown command {arguments[0]!r}; see --help", file=sys.stderr)
            return 2
        else:
            _export(arguments)
    except KeyboardInterrupt as stop:
        print(f"export: stopped; {str(stop) or 'nothing was written'}", file=sys.stderr)
        return 130
    except (ExportError, StartError) as error:
        print(f"{EXPORTER_ERROR}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # `until_closed_pipe` ends the program.
        raise
    except OSError as error:  # An unreadable file or a full disk.
        print(f"{EXPORTER_ERROR}: {first_line(error)}", file=sys.stderr)
        return 1
    return 0


def _export(arguments: Sequence[str]) -> None:
    options = parse_options(arguments)
    with Progress() as progress:
        manifest, speed = _write(options, progress)
        progress.finish()
    _print_report(manifest, options.out, speed.row)


def _write(options: argparse.Namespace, progress: Progress) -> tuple[Manifest, Speed]:
    progress("loading the libraries")
    silence_libraries()
    from export.bundle import write_bundle
    from export.making import bundle_options, open_towers
    from export.staging import check_out

    check_out(options.out)
    made_with = bundle_options(options, open_corpus(options))
    return write_bundle(open_towers(options, progress), options.out, made_with, progress=progress)


def _inspect(arguments: Sequence[str]) -> None:
    parser = OneLineParser(prog=f"{EXPORTER} inspect", description="Show a bundle's report.", allow_abbrev=False)
    parser.add_argument("bundle", type=Path, metavar="DIR", help="the bundle")
    options = parser.parse_args(arguments)
    _print_report(read_manifest(options.bundle), options.bundle)


def _print_report(manifest: Manifest, bundle: Path, *more: tuple[str, str]) -> None:
    for name, value in [*report_rows(manifest), *more, ("bundle", str(bundle))]:
        print(f"{name:21} {value}")


if __name__ == "__main__":
    code = until_closed_pipe(lambda: main(sys.argv[1:]))
    # A normal exit takes seconds to unload torch, while a thread may still be importing it.
    os._exit(code)
