"""What an operator does to a store beside serving it: backup, restore, check, export-catalogue.

    python -m server backup --data DIR [--to FILE]
    python -m server restore --data DIR --from FILE
    python -m server check --data DIR
    python -m server export-catalogue --data DIR [--to FILE]

All but restore may run while a server serves the directory.
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
from server.settings import Parser

PORTION_DOCUMENTS = 1000
"""Documents that are read at a time."""


class Command(NamedTuple):
    """A command: what it does, and the options that it has beside --data."""

    run: Callable[[argparse.Namespace], None]
    help: str
    options: dict[str, str]
    required: bool = False


def run(arguments: Sequence[str]) -> None:
    """Runs a command, which is the first of the arguments.

    Raises:
        StoreError: It cannot be done; the message says what to do.
        SettingsError: The arguments are wrong.
        SystemExit: `--help` was asked for.
    """
    parser = Parser(prog="python -m server", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        described = commands.add_parser(name, help=command.help, description=command.help, allow_abbrev=False)
        described.add_argument("--data", type=Path, required=True, metavar="DIR", help="directory of the store")
        for option, help in command.options.items():
            described.add_argument(option, type=Path, metavar="FILE", required=command.required, help=help)
    options = parser.parse_args(arguments)
    if not (options.data / DATABASE).is_file() and options.command != "restore":
        raise StoreError(f"there is no {options.data / DATABASE}: is {options.data} a directory that --data was given?")
    COMMANDS[options.command].run(options)


def _back_up(options: argparse.Namespace) -> None:
    print(back_up(options.data, options.to))


def _restore(options: argparse.Namespace) -> None:
    backup = getattr(options, "from")
    kept = restore(options.data, backup)
    beside = f"; what was there is kept as {kept}" if kept else ""
    print(f"{options.data / DATABASE} is the one of {backup} again{beside}")


def _check(options: argparse.Namespace) -> None:
    with contextlib.closing(Store(options.data, serving=False)) as store:
        store.verify()
        print(f"{options.data / DATABASE} is whole: {len(store)} documents, sequence {store.sequence}")


def _export(options: argparse.Namespace) -> None:
    with contextlib.closing(Store(options.data, serving=False)) as store, _opened(options.to) as file:
        after_id = ""
        while page := store.page(after_id, PORTION_DOCUMENTS):
            for stored in page:
                file.write(content_of(stored.document) + b"\n")
            after_id = page[-1].document.id


@contextlib.contextmanager
def _opened(path: Path | None) -> Iterator[BinaryIO]:
    """Opens a new file that has its name when it is written whole; without a path, gives stdout."""
    if path is None:
        yield sys.stdout.buffer
        return
    try:
        with new_file(path) as unfinished, unfinished.open("wb") as file:
            yield file
    except FileExistsError:  # It may be the store itself.
        raise StoreError(f"{path} exists already, and is not replaced: choose another name") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from None


COMMANDS = {
    "backup": Command(
        _back_up,
        "Copy the store's database, as it is at one moment, and print where.",
        {"--to": "path of the copy (default: DIR/backups, named by the time)"},
    ),
    "restore": Command(
        _restore,
        "Put a backup in the place of the database of a store that no server serves.",
        {"--from": "the backup"},
        required=True,
    ),
    "check": Command(_check, "Read the whole store and compare it with its checksums.", {}),
    "export-catalogue": Command(
        _export,
        "Write all documents as JSONL, in the order of their ids, as --catalogue takes them.",
        {"--to": "path of the file (default: standard output)"},
    ),
}
