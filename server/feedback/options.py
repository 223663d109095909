"""The options of the command `learn`, apart from its work, whose imports are slow."""

from argparse import ArgumentParser
from pathlib import Path

from server.catalogue.document import Field
from server.encoding.cutting import add_cutting_flags
from server.feedback.policy import Policy
from server.setting_types import number, typed, weight, whole_number


def add_learn_options(parser: ArgumentParser) -> None:
    """Adds the options of the command."""
    default = Policy()
    parser.add_argument("--bundle", type=Path, required=True, metavar="DIR", help="the bundle that the server serves")
    parser.add_argument("--dry-run", action="store_true", help="print what would be learnt, and change nothing")
    parser.add_argument("--undo", action="store_true", help="take away all example queries that were learnt")
    for name, parse, help in (
        ("min-users", whole_number(1), "least users who confirm a query for a document"),
        (
            "min-agreement",
            number("a number above 0.5, up to 1", lambda value: 0.5 < value <= 1),
            "least share of the users' votes for the query that the document has",
        ),
        ("max-examples", whole_number(1, 1000), "most queries that one document learns"),
    ):
        value = getattr(default, name.replace("-", "_"))
        parser.add_argument(
            f"--{name}", type=typed(parse), default=value, metavar="N", help=f"{help} (default: {value})"
        )
    for field in Field:
        help = f"the server's --{field.value}-weight (default: the bundle's)"
        parser.add_argument(f"--{field.value}-weight", type=typed(weight), metavar="N", help=help)
    add_cutting_flags(parser)
