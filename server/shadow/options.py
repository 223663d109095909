"""The options of the command `shadow`, apart from its work, whose imports are slow."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from server.encoding.cutting import add_cutting_flags
from server.errors import SettingsError
from server.feedback.policy import Policy
from server.ranking.options import Mode
from server.setting_types import fraction, typed, whole_number

EXAMPLES = ("all", "own", "none")
"""Which example queries the documents of a side have: all; those that `learn` has not added; none."""

DEFAULT_MODES = (Mode.DENSE, Mode.HYBRID)

MAX_QUERIES = 2000

SHOWN = 10


def add_shadow_options(parser: ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument("--bundle", type=Path, required=True, metavar="DIR", help="the bundle that serves")
    parser.add_argument("--new-bundle", type=Path, metavar="DIR", help="the bundle to compare (default: the same)")
    parser.add_argument("--catalogue", type=Path, metavar="FILE", help="documents in JSONL, instead of --data")
    parser.add_argument(
        "--new-catalogue", type=Path, metavar="FILE", help="documents to compare in JSONL (default: the same)"
    )
    add_cutting_flags(parser)
    for flag, side in (("--examples", "the documents"), ("--new-examples", "the documents to compare")):
        parser.add_argument(
            flag,
            choices=EXAMPLES,
            default=EXAMPLES[0],
            help=f"example queries of {side}: all, own (without those that learn has added) or none (default: all)",
        )
    parser.add_argument(
        "--queries",
        type=Path,
        metavar="FILE",
        help='recorded queries in JSONL, such as {"query": "…", "relevant": ["ID"]}, or a log in JSON with texts '
        "(default: the feedback of --data)",
    )
    parser.add_argument(
        "--max-queries",
        type=typed(whole_number(1)),
        default=MAX_QUERIES,
        metavar="N",
        help="most queries to replay, those that occur most often (default: %(default)s)",
    )
    parser.add_argument(
        "--min-users",
        type=typed(whole_number(1)),
        default=Policy().min_users,
        metavar="N",
        help="least users whose feedback confirms the right document of a query (default: %(default)s)",
    )
    parser.add_argument(
        "--mode",
        action="append",
        choices=[mode.value for mode in Mode],
        help="mode of search; repeatable (default: dense and hybrid)",
    )
    parser.add_argument(
        "--show",
        type=typed(whole_number(0)),
        default=SHOWN,
        metavar="N",
        help="most different queries to show for each mode (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything to this file")
    parser.add_argument(
        "--max-loss",
        type=typed(fraction),
        metavar="SHARE",
        help="exit with 99 if R@1 falls by more than this in a mode, and significantly (p < .05); needs labels",
    )
    parser.add_argument(
        "--min-overlap", type=typed(fraction), metavar="SHARE", help="exit with 99 if overlap@10 of a mode is lower"
    )


def check_shadow_options(options: Namespace) -> None:
    """Sets the default modes; raises SettingsError if options contradict each other."""
    if (options.data is None) == (options.catalogue is None):
        raise SettingsError("set --data (a directory or database) or --catalogue (a file), where the documents are")
    if options.data is None and options.queries is None:
        raise SettingsError("--catalogue needs --queries: without --data there is no feedback")
    if options.data is None and "own" in (options.examples, options.new_examples):
        raise SettingsError("own example queries need --data, which knows what learn has added")
    same = options.new_examples == options.examples
    if options.new_bundle is None and options.new_catalogue is None and same:
        raise SettingsError("there is nothing to compare: set --new-bundle, --new-catalogue or --new-examples")
    inputs = [options.catalogue, options.new_catalogue, options.queries]
    if options.json is not None and options.json.resolve() in [each.resolve() for each in inputs if each is not None]:
        raise SettingsError("--json must name another file than those that are read")
    read = {"--data": options.data, "--bundle": options.bundle, "--new-bundle": options.new_bundle}
    for flag, directory in read.items():
        if options.json is not None and isinstance(directory, Path) and _is_inside(options.json, directory):
            raise SettingsError(f"--json must name a file outside the directory of {flag}")
    options.mode = list(dict.fromkeys(map(Mode, options.mode or DEFAULT_MODES)))


def _is_inside(path: Path, directory: Path) -> bool:
    return path.resolve().is_relative_to(directory.resolve())
