"""Into which passages long texts are cut: the settings of the server, and the flags of other commands."""

from argparse import Namespace, _ActionsContainer
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from server.defaults import PASSAGE_OVERLAP_TOKENS, PASSAGE_TOKENS
from server.setting_types import typed, whole_number

MOST_TOKENS = 4096

PASSAGE_TOKENS_HELP = (
    "Also cut texts into passages of at most this many tokens, each encoded after its document's title, which finds "
    "long texts better and makes more vectors. Shorter texts have none. 0 makes none."
)

OVERLAP_HELP = (
    "Tokens that neighbouring passages share if a text does not fit into the model. Passages of --passage-tokens share "
    "none."
)

DEFAULT = " (default: %(default)s)"
"""End of the help of a flag."""


class Cutting(NamedTuple):
    """The sizes of the passages of texts.

    Attributes:
        passage_tokens: Maximum tokens of the short passages of a text, without its title; 0 for no such passages.
        overlap_tokens: Tokens that neighbouring passages of a text share that does not fit into the model.
    """

    passage_tokens: int = PASSAGE_TOKENS
    overlap_tokens: int = PASSAGE_OVERLAP_TOKENS


DEFAULT_CUTTING = Cutting()


def add_cutting_flags(parser: _ActionsContainer, *, several: bool = False) -> None:
    """Adds the flags of the server's settings to a command that encodes documents as the server does.

    With `several`, `passage_tokens` is a list.
    """
    number = whole_number(0, MOST_TOKENS)
    parser.add_argument(
        "--passage-tokens",
        type=typed(partial(_numbers, number) if several else number),
        default=[PASSAGE_TOKENS] if several else PASSAGE_TOKENS,
        metavar="NUMBERS" if several else "N",
        help="the server's --passage-tokens"
        + (f"; several, separated by commas, are compared (default: {PASSAGE_TOKENS})" if several else DEFAULT),
    )
    parser.add_argument(
        "--passage-overlap-tokens",
        type=typed(number),
        default=PASSAGE_OVERLAP_TOKENS,
        metavar="N",
        help="the server's --passage-overlap-tokens" + DEFAULT,
    )


def chosen_cutting(options: Namespace) -> Cutting:
    """Returns the cutting of the flags."""
    return Cutting(options.passage_tokens, options.passage_overlap_tokens)


def _numbers(parse: Callable[[str], int], text: str) -> list[int]:
    """Parses distinct numbers that are separated by commas."""
    return list(dict.fromkeys(parse(each.strip()) for each in text.split(",")))
