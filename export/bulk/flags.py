"""The flags of `python -m export encode`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from export.options import OneLineParser
from server.catalogue.location import parse_location
from server.encoding.cutting import add_cutting_flags
from server.errors import SettingsError
from server.programs import EXPORTER
from server.setting_types import Address, parse_address, typed, whole_number

DATA_VARIABLE = "CHAJA_DATA"
"""The server's variable of --data: a URL with a password then is in no list of processes."""

MAX_DOCUMENT_CHARACTERS = 1_000_000

EXAMPLES = f"""examples:
  {EXPORTER} encode --bundle build/bundle --catalogue services.jsonl --data data
  {EXPORTER} encode --bundle /shared/bundle --catalogue /shared/catalogue --data postgresql://chaja@db/chaja \\
      --address head:6379"""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parses the command line.

    Raises:
        SystemExit: A flag is invalid (code 2), or `--help` was given (code 0).
    """
    parser = OneLineParser(
        prog=f"{EXPORTER} encode",
        description="Encode documents on all cores of a machine or of a Ray cluster, and write them with their vectors "
        "to a store. Documents that the store has, with vectors of the bundle, are left out: so a run that was stopped "
        "continues if it is started again.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EXAMPLES,
        allow_abbrev=False,
    )
    data = os.environ.get(DATA_VARIABLE) or None
    parser.add_argument("--bundle", type=Path, required=True, metavar="DIR", help="bundle to encode with")
    parser.add_argument(
        "--catalogue",
        type=Path,
        nargs="+",
        action="extend",
        required=True,
        metavar="FILE",
        help="documents in JSONL, or in Parquet (*.parquet), or a folder of such files; repeatable",
    )
    parser.add_argument(
        "--data",
        default=data,
        required=data is None,
        metavar="DIR",
        help=f"directory of the store, or the postgresql:// URL of its database (environment: {DATA_VARIABLE})",
    )
    parser.add_argument(
        "--address",
        type=typed(_address),
        metavar="HOST:PORT",
        help="head of a Ray cluster to which this machine belongs; its machines read the same --bundle and --catalogue "
        "(default: Ray is started on this machine)",
    )
    parser.add_argument(
        "--encode-workers",
        type=typed(whole_number(0)),
        default=0,
        metavar="N",
        help="encoders, each on one core; 0 starts one for each core of the cluster (default: %(default)s)",
    )
    parser.add_argument(
        "--only-vectors",
        action="store_true",
        help="write no documents: add vectors to those that the store has exactly so, and leave out all others",
    )
    add_cutting_flags(parser)
    parser.add_argument(
        "--max-document-characters",
        type=typed(whole_number(1)),
        default=MAX_DOCUMENT_CHARACTERS,
        metavar="N",
        help="the server's --max-document-characters (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    try:
        options.data = parse_location(options.data)
    except SettingsError as error:
        parser.error(str(error))
    return options


def _address(text: str) -> Address:
    return parse_address(text, example="head:6379")
