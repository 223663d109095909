"""Commands for the operator of a store: backup, restore, check, export-catalogue, migrate, accept-loss, learn, shadow.

    python -m server backup --data DIR [--to FILE]
    python -m server restore --data DIR --from FILE
    python -m server check --data DIR
    python -m server export-catalogue --data DIR [--to FILE] [--synonyms-to FILE] [--rules-to FILE]
    python -m server migrate --data URL
    python -m server accept-loss --data URL

All but restore and learn may run while a server uses the directory. Where --data is required, the environment variable
CHAJA_DATA replaces it: a URL with a password then is in no list of processes.
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from server.catalogue.database import DATABASE, back_up, restore
from server.catalogue.document import content_of
from server.catalogue.location import DatabaseUrl, parse_location
from server.catalogue.rules import RuleKind
from server.catalogue.store import Store
from server.command_line import Parser
from server.errors import StoreError
from server.feedback.options import add_learn_options
from server.files import new_file
from server.programs import SERVER
from server.shadow.options import add_shadow_options, check_shadow_options

DATA_VARIABLE = "CHAJA_DATA"
"""The server's variable of --data."""

PORTION_DOCUMENTS = 1000
"""Documents read at a time."""


class Command(NamedTuple):
    """A command: its help, its function, its options that name files besides --data, and what adds others.

    `needs_data` is whether --data must be given, `reads` whether there must be a database in it, and `instead` what
    does the same for a database of PostgreSQL if the command does not.
    """

    help: str
    run: Callable[[argparse.Namespace], None]
    options: dict[str, str]
    required: bool = False
    add_options: Callable[[argparse.ArgumentParser], None] = lambda _: None
    needs_data: bool = True
    reads: bool = True
    instead: str = ""


def run(arguments: Sequence[str]) -> None:
    """Runs the command that the first argument names; raises StoreError, or SettingsError for invalid arguments."""
    parser = Parser(prog=SERVER, allow_abbrev=False)
    data = os.environ.get(DATA_VARIABLE) or None
    commands = parser.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        described = commands.add_parser(name, help=command.help, description=command.help, allow_abbrev=False)
        described.add_argument(
            "--data",
            type=parse_location,
            default=data if command.needs_data else None,
            required=command.needs_data and data is None,
            metavar="DIR",
            help="directory of the store, or the postgresql:// URL of its database"
            + (f" (environment: {DATA_VARIABLE})" if command.needs_data else ""),
        )
        for option, text in command.options.items():
            described.add_argument(option, type=Path, metavar="FILE", required=command.required, help=text)
        command.add_options(described)
    options = parser.parse_args(arguments)
    command = COMMANDS[options.command]
    if isinstance(options.data, DatabaseUrl):
        if command.instead:
            raise StoreError(f"{options.command} is for directories: use {command.instead} for {options.data}")
    elif options.data is not None and not (options.data / DATABASE).is_file() and command.reads:
        raise StoreError(f"{options.data / DATABASE} does not exist: is {options.data} the server's --data directory?")
    command.run(options)


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
        counts = f"{len(store)} documents, " + ", ".join(f"{len(store.rules(kind))} {kind} rules" for kind in RuleKind)
        place = options.data if isinstance(options.data, DatabaseUrl) else options.data / DATABASE
        print(f"{place} is intact: {counts}, sequence {store.sequence}")


def _export(options: argparse.Namespace) -> None:
    with contextlib.closing(Store(options.data, serving=False)) as store:
        for kind, path in ((RuleKind.SYNONYM, options.synonyms_to), (RuleKind.MERCHANDISING, options.rules_to)):
            if path is not None:
                with _opened(path) as file:  # The content of a rule is its line in the file.
                    file.writelines(sorted(rule.content + b"\n" for rule in store.rules(kind)))
        with _opened(options.to) as file:
            after_id = ""
            while page := store.page(after_id, PORTION_DOCUMENTS):
                for stored in page:
                    file.write(content_of(stored.document) + b"\n")
                after_id = page[-1].document.id


def _migrate(options: argparse.Namespace) -> None:
    if not isinstance(options.data, DatabaseUrl):
        raise StoreError("migrate is for a database of PostgreSQL: the server migrates a directory when it starts")
    from server.catalogue.databases.postgresql.migrating import migrate  # noqa: PLC0415 It is an extra.

    before, after = migrate(options.data)
    print(f"{options.data} has schema {after}" + (" already" if before == after else f"; it had {before or 'none'}"))


def _accept_loss(options: argparse.Namespace) -> None:
    if not isinstance(options.data, DatabaseUrl):
        raise StoreError("accept-loss is for a database of PostgreSQL: use restore for a directory")
    from server.catalogue.databases.postgresql.losses import accept_losses  # noqa: PLC0415 It is an extra.

    if (sequence := accept_losses(options.data)) is None:
        print(f"{options.data} has lost no change that a server knows of: nothing was done")
    else:
        print(f"{options.data} continues after change {sequence}: restart the servers that refuse calls")


def _learn(options: argparse.Namespace) -> None:
    from server.feedback.command import learn  # noqa: PLC0415 Its imports are slow.

    learn(options)


def _shadow(options: argparse.Namespace) -> None:
    check_shadow_options(options)
    from server.shadow.command import shadow  # noqa: PLC0415 Its imports are slow.

    shadow(options)


@contextlib.contextmanager
def _opened(path: Path | None) -> Iterator[BinaryIO]:
    """Opens a new file, which appears at `path` only when it is complete; without a path, yields stdout."""
    if path is None:
        try:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise StoreError(f"standard output cannot be written: {error.strerror}") from None
        return
    try:
        with new_file(path) as unfinished, unfinished.open("wb") as file:
            yield file
    except FileExistsError:  # The path may be that of the store's database.
        raise StoreError(f"{path} already exists and is not overwritten: choose another name") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}; choose another path") from None


COMMANDS = {
    "backup": Command(
        "Copy the store's database at one point in time, and print the path of the copy.",
        _back_up,
        {"--to": "path of the copy (default: DIR/backups, named by the time)"},
        instead="pg_dump",
    ),
    "restore": Command(
        "Replace a store's database with a backup. No server may use the store.",
        _restore,
        {"--from": "the backup"},
        required=True,
        reads=False,
        instead="pg_restore",
    ),
    "check": Command("Read the whole store and verify its checksums.", _check, {}),
    "export-catalogue": Command(
        "Write all documents as JSONL for --catalogue, ordered by id, and rules for --synonyms and --rules.",
        _export,
        {
            "--to": "path of the file of documents (default: standard output)",
            "--synonyms-to": "path of the file of synonyms (default: none is written)",
            "--rules-to": "path of the file of rules of merchandising (default: none is written)",
        },
    ),
    "migrate": Command(
        "Make the tables of a database in PostgreSQL, or bring those of an older version up to date.",
        _migrate,
        {},
        reads=False,
    ),
    "accept-loss": Command(
        "Go on without the changes that a database in PostgreSQL has lost, as in a failover. Servers refuse it before.",
        _accept_loss,
        {},
        reads=False,
    ),
    "learn": Command(
        "Add queries that users have confirmed to the example queries of documents, if search gets no worse by it.",
        _learn,
        {},
        add_options=add_learn_options,
    ),
    "shadow": Command(
        "Replay recorded queries on another bundle or other documents, and show what would change.",
        _shadow,
        {},
        add_options=add_shadow_options,
        needs_data=False,
    ),
}
"""The commands that `python -m server COMMAND` runs instead of the server, by name."""
