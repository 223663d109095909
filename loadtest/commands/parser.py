"""The parser of the command line: errors are one line, and help has the lists that flags refer to."""

import argparse
import re
import textwrap
from collections.abc import Sequence
from difflib import get_close_matches
from typing import NoReturn

from loadtest.analysis.figures import DISTRIBUTIONS, FIGURES
from loadtest.errors import UsageError
from loadtest.requests.placeholders import FUNCTIONS

WIDTH = 100
_NO_NUMBER = re.compile(r"invalid (?P<kind>int|float) value: (?P<value>.*)", re.DOTALL)


class Parser(argparse.ArgumentParser):
    """Raises an error of one line where argparse would print the usage, which has 30 lines, and exit."""

    def error(self, message: str) -> NoReturn:
        """Raises UsageError."""
        message = message.removeprefix("argument ")
        if wrong := _NO_NUMBER.search(message):
            kind = "whole number" if wrong["kind"] == "int" else "number"
            message = f"{message[: wrong.start()]}{wrong['value']} is not a {kind}"
        raise UsageError(f"{message}; see {self.prog} --help")

    # The command's parser has to refuse what it does not know: the parser above it would name its own help.
    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parses arguments; raises UsageError for unknown ones, with flags that resemble them."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            flag = unknown[0].partition("=")[0]
            similar = get_close_matches(flag, self._option_string_actions, 1, cutoff=0.8)
            kind = "flag" if flag.startswith("-") else "argument"
            self.error(f"unknown {kind} {flag}" + (f" (did you mean {similar[0]}?)" if similar else ""))
        return found, []


def placeholders_help() -> str:
    """Returns the functions of placeholders, for the end of a command's help."""
    functions = ", ".join(f"{{{{{each.usage}}}}}" for each in FUNCTIONS.values())
    return _paragraph(
        f"placeholders of --data and --header: a field of the query's row, such as {{{{query}}}}, or a function: "
        f"{functions}"
    )


def figures_help() -> str:
    """Returns the figures of objectives, for the end of a command's help."""
    prefixes = ", ".join(f"{name}.p99" for name in DISTRIBUTIONS if name)
    return _paragraph(
        f"figures of objectives: {', '.join(FIGURES)}; of latencies p99 (any percentile), mean and max, also of other "
        f"times: {prefixes}; of one call of a mix: Search.p99"
    )


def _paragraph(text: str) -> str:
    return textwrap.fill(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False).replace("%", "%%")
