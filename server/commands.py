"""Commands for the operator of a store: backup, restore, check, export-catalogue.

    python -m server backup --data DIR [--to FILE]
    python -m server restore --data DIR --from FILE
    python -m server check --data DIR
    python -m server export-catalogue --data DIR [--to FILE]

All but restore may run while a server uses the directory.
"""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from server.catalogue.database import DATABASE, back_up, restore
from server.catalogue.document import content_of
from server.catalogue.store import Store
from server.errors import StoreError
from server.files import new_file
from server.settings import COMMANDS, Parser

PORTION_DOCUMENTS = 1000
"""Documents read at a time."""


class Command(NamedTuple):
    """A command: its function, and its options besides --data with their help."""

    run: Callable[[argparse.Namespace], None]
    options: dict[str, str]
    required: bool = False


def run(arguments: Sequence[str]) -> None:
    """Runs the command that the first argument names.

    Raises:
        StoreError: The command failed; the message says what to do.
        SettingsError: The arguments are invalid.
        SystemExit: `--help` was given.
    """
    parser = Parser(prog="python -m server", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, help in COMMANDS.items():
        command = RUN[name]
        described = commands.add_parser(name, help=help, description=help, allow_abbrev=False)
        described.add_argument("--data", type=Path, required=True, metavar="DIR", help="directory of the store")
        for option, text in command.options.items():
            described.add_argument(option, type=Path, metavar="FILE", required=command.required, help=text)
    options = parser.parse_args(arguments)
    if not (options.data / DATABASE).is_file() and options.command != "restore":
        raise StoreError(f"{options.data / DATABASE} does not exist: is {options.data} the server's --data directory?")
    RUN[options.command].run(options)


def _back_up(options: argparse.Namespace) -> None:
    print(back_up(options.data, options.to))


def _restore(options: argparse.Namespace) -> None:
    backup = getattr(options, "from")
    kept = restore(options.data, backup)
    previous = f"; the previous database is kept as {kept}" if kept else ""
    print(f"restored {options.data / DATABASE} from {backup}{previous}")


def _check(options: argparse.Namespace) -> None:
    with contextlib.closing(Store(options.data, serving=False)) as store:
        store.verify()
        print(f"{options.data / DATABASE} is intact: {len(store)} documents, sequence {store.sequence}")


def _export(options: argparse.Namespace) -> None:
    with contextlib.closing(Store(options.data, serving=False)) as store, _opened(options.to) as file:
        after_id = ""
        while page := store.page(after_id, PORTION_DOCUMENTS):
            for stored in page:
                file.write(content_of(stored.document) + b"\n")
            after_id = page[-1].document.id


@contextlib.contextmanager
def _opened(path: Path | None) -> Iterator[BinaryIO]:
    """Opens a new file, which appears at `path` only when it is complete; without a path, yields stdout."""
    if path is None:
        yield sys.stdout.buffer
        return
    try:
        with new_file(path) as unfinished, unfinished.open("wb") as file:
            yield file
    except FileExistsError:  # It may be the store itself.
        raise StoreError(f"{path} already exists and is not overwritten: choose another name") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from None


RUN = {
    "backup": Command(_back_up, {"--to": "path of the copy (default: DIR/backups, named by the time)"}),
    "restore": Command(_restore, {"--from": "the backup"}, required=True),
    "check": Command(_check, {}),
    "export-catalogue": Command(_export, {"--to": "path of the file (default: standard output)"}),
}
"""By name, as in `server.settings.COMMANDS`."""
