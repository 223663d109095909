"""Reads the settings from the command line and the environment. A flag overrides the environment."""

import argparse
import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

from server.errors import SettingsError
from server.programs import SERVER
from server.setting_checks import check_settings
from server.setting_rows import PREFIX, setting_rows
from server.settings import Settings
from server.version import ShowVersion


def parse_settings(
    arguments: Sequence[str], environment: Mapping[str, str] = os.environ, *, commands: Mapping[str, str] | None = None
) -> Settings:
    """Reads the settings from command-line `arguments` and `environment`. `--help` lists the `commands`.

    Raises SettingsError if a required setting is missing or a value is invalid, and SystemExit for `--help`.
    """
    parser = Parser(
        prog=SERVER,
        description="Serve natural-language search over gRPC, or run a command on a store.",
        epilog=f"example:\n  {SERVER} --bundle build/bundle --catalogue sample/catalogue.jsonl\n\n"
        f"commands ({SERVER} COMMAND --help):\n"
        + "\n".join(f"  {name:16}  {help}" for name, help in (commands or {}).items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=ShowVersion, nargs=0, help="show the version and exit")
    rows = setting_rows()
    for row in rows:
        shown = "required" if row.default is None else f"default: {row.default or 'none'}"
        help = f"{row.help} ({shown}; environment: {row.variable})"
        parser.add_argument(row.flag, metavar=row.metavar, help=help.replace("%", "%%"))
    given = vars(parser.parse_args(arguments))
    values: dict[str, Any] = {}
    for row in rows:
        text, source = given[row.name], row.flag
        if text is None and row.variable in environment:
            text, source = environment[row.variable], row.variable
        if text is None or (not text and not row.default):
            if row.default is None:
                raise SettingsError(f"{source} is required (or set {row.variable}); see --help")
            continue
        try:
            values[row.name] = row.parse(text)
        except ValueError as error:
            raise SettingsError(f"{source}: {error}; got {text!r}") from None
    settings = Settings(**values)
    check_settings(settings)
    return settings


def misspelt_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns variables that resemble a setting's, each with that one. Kubernetes sets others with this prefix."""
    known = [row.variable for row in setting_rows()]
    unknown = [name for name in environment if name.startswith(PREFIX) and name not in known]
    return {name: found[0] for name in unknown if (found := get_close_matches(name, known, 1, cutoff=0.8))}


class Parser(argparse.ArgumentParser):
    """Raises an error where argparse would print several lines of usage and exit."""

    def error(self, message: str) -> NoReturn:
        """Raises SettingsError."""
        raise SettingsError(f"{message}; see --help")
