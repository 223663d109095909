"""The flags of `python -m export tune`."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

from export.evaluation.flags import LABELS_PER_DOCUMENT, judged_places
from export.options import OneLineParser, bundle_flags, check_bundle_flags, count
from export.places import check_places
from export.tuning.negatives import KINDS
from server.encoding.cutting import add_cutting_flags
from server.programs import EXPORTER

ALL = "all"

EXAMPLES = f"""examples:
  {EXPORTER} tune --out build/tuned --catalogue services.jsonl --labels labelled.jsonl --queries judged.jsonl
  {EXPORTER} tune --out build/tuned --eval DIR --labels train --split test --curve 0,100,500,all"""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parses the command line.

    Raises:
        SystemExit: A flag is invalid (code 2), or `--help` was given (code 0).
    """
    parser = OneLineParser(
        prog=f"{EXPORTER} tune",
        description="Train a model on labelled queries, export it, and compare it with the model before.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EXAMPLES,
        allow_abbrev=False,
    )
    _label_flags(parser.add_argument_group("documents and labels"))
    _training_flags(parser.add_argument_group("training"))
    _report_flags(parser.add_argument_group("report"))
    bundle_flags(parser)
    options = parser.parse_args(arguments)
    _check(parser, options)
    check_bundle_flags(parser, options)
    if options.checkpoints is None:
        options.checkpoints = options.out.parent / f"{options.out.resolve().name}.checkpoints"
    return options


def _label_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--catalogue", type=Path, metavar="FILE", help="documents in JSONL; needs --queries")
    group.add_argument("--queries", type=Path, metavar="FILE", help="labelled queries in JSONL that judge the result")
    group.add_argument("--eval", type=Path, metavar="DIR", help="documents and labelled queries in BEIR's layout")
    group.add_argument(
        "--split", metavar="NAME", help="split of --eval that judges (default: test, else dev, validation, train)"
    )
    group.add_argument(
        "--labels", required=True, metavar="NAME", help="split of --eval, or file of labelled queries, to train with"
    )
    group.add_argument(
        "--drop-leaks",
        action="store_true",
        help="leave out labels that are also queries that judge; without it they are an error",
    )
    group.add_argument(
        "--labels-per-document", type=count, metavar="N", help="maximum labels of a document (default: all)"
    )
    group.add_argument(
        "--dev-share",
        type=_share,
        default=0.1,
        metavar="X",
        help="share of the labels that decides when the training ends, instead of being trained; at least 20 and at "
        "most 500 (default: %(default)s)",
    )
    group.add_argument("--eval-queries", type=count, metavar="N", help="maximum queries that judge (default: all)")


def _training_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--towers",
        choices=("one", "two", "query"),
        default="one",
        help="train one model for queries and documents, or two that begin alike, or only one for queries: documents "
        "keep the model before; --document-model always gives two (default: %(default)s)",
    )
    group.add_argument(
        "--embeddings",
        choices=("frozen", "trained"),
        default="frozen",
        help="whether the embeddings of tokens are trained; few labels have few of the tokens (default: %(default)s)",
    )
    group.add_argument(
        "--loss",
        choices=("symmetric", "one-way"),
        help="one-way: each query must find its document among those of the batch; symmetric: each document must also "
        "find its query (default: symmetric)",
    )
    group.add_argument(
        "--negatives",
        type=_natural,
        default=0,
        metavar="N",
        help="hard negatives of each query, besides the other documents of its batch (default: %(default)s)",
    )
    group.add_argument(
        "--negatives-from",
        type=_kinds,
        default=KINDS,
        metavar="KINDS",
        help=f"searches that find hard negatives, separated by commas (default: {','.join(KINDS)})",
    )
    group.add_argument(
        "--negative-margin",
        type=_margin,
        default=0.02,
        metavar="X",
        help="leave out a hard negative unless its similarity is this much below that of the nearest document with a "
        "label, since it may answer the query, too (default: %(default)s)",
    )
    group.add_argument("--epochs", type=count, default=5, metavar="N", help="maximum epochs (default: %(default)s)")
    group.add_argument("--batch", type=_batch, default=32, metavar="N", help="labels in a batch (default: %(default)s)")
    group.add_argument(
        "--learning-rate", type=_positive, default=5e-5, metavar="X", help="highest learning rate (default: 5e-05)"
    )
    group.add_argument(
        "--scale",
        type=_positive,
        metavar="X",
        help="factor of similarities in the loss (default: 20 for cosine, or 50 with --towers query; 1 for dot)",
    )
    group.add_argument(
        "--train-tokens",
        type=count,
        default=128,
        metavar="N",
        help="tokens at which texts are cut while training; measurements and the bundle keep --max-tokens (default: "
        "%(default)s)",
    )
    group.add_argument(
        "--evaluate-steps",
        type=count,
        default=200,
        metavar="N",
        help="maximum steps between two measurements of the dev part, each with a checkpoint (default: %(default)s)",
    )
    group.add_argument(
        "--patience",
        type=count,
        default=3,
        metavar="N",
        help="end the training after this many measurements without a better one (default: %(default)s)",
    )
    group.add_argument(
        "--seed",
        type=_natural,
        default=0,
        metavar="N",
        help="seed of the dev part and the batches (default: %(default)s)",
    )
    group.add_argument(
        "--checkpoints",
        type=Path,
        metavar="DIR",
        help="folder that keeps the training until the bundle is written (default: OUT.checkpoints)",
    )
    group.add_argument("--resume", action="store_true", help="continue the training in --checkpoints")


def _report_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--before",
        type=Path,
        metavar="DIR",
        help="bundle of the model before, to compare with (default: it is exported to a temporary folder)",
    )
    add_cutting_flags(group)
    group.add_argument(
        "--examples-per-document",
        type=count,
        default=LABELS_PER_DOCUMENT,
        metavar="N",
        help="maximum labels of a document that become example queries, where these are measured (default: "
        "%(default)s)",
    )
    group.add_argument(
        "--curve",
        type=_counts,
        metavar="COUNTS",
        help=f"train with each of these numbers of labels, such as 0,100,500,{ALL}; the bundle is that of the largest",
    )
    group.add_argument("--html", type=Path, metavar="FILE", help="also write a page with charts to this file")


def _check(parser: OneLineParser, options: argparse.Namespace) -> None:
    beside = [options.catalogue is not None, options.queries is not None]
    if any(beside) if options.eval is not None else not all(beside):
        parser.error("set --catalogue and --queries, or --eval")
    if options.eval is None and options.split:
        parser.error("--split needs --eval")
    if options.eval is None and Path(options.labels).resolve() == options.queries.resolve():
        parser.error("--labels and --queries name the same file: what was learnt cannot judge")
    if options.towers == "query" and (options.loss or options.negatives):
        parser.error(
            "--towers query has no --loss and no --negatives: all other documents with labels are negatives of a query"
        )
    options.loss = options.loss or "symmetric"
    if options.document_model is not None and options.towers == "one":
        options.towers = "two"
    check_places(
        parser,
        written=[("--out", options.out), ("--checkpoints", options.checkpoints), ("--html", options.html)],
        read=[*judged_places(options), ("--before", options.before), ("--calibration", options.calibration)],
    )


def _counts(text: str) -> tuple[int | None, ...]:
    """Returns the numbers of labels in ascending order; None stands for all."""
    numbers: set[int | None] = set()
    for name in text.split(","):
        if name.strip() == ALL:
            numbers.add(None)
        elif name.strip().isdecimal():
            numbers.add(int(name))
        else:
            raise argparse.ArgumentTypeError(f"{name.strip()!r} is neither a number nor {ALL}")
    if numbers == {0}:
        raise argparse.ArgumentTypeError(f"name a number above 0, or {ALL}")
    return tuple(sorted(numbers, key=lambda number: math.inf if number is None else number))


def _kinds(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in KINDS:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(KINDS)}")
    return names


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _positive(text: str) -> float:
    if not 0 < (value := _number(text)) < math.inf:
        raise argparse.ArgumentTypeError("expected a number greater than 0")
    return value


def _share(text: str) -> float:
    if not 0 < (value := _number(text)) <= 0.5:
        raise argparse.ArgumentTypeError("expected a number above 0, at most 0.5")
    return value


def _margin(text: str) -> float:
    if not 0 <= (value := _number(text)) <= 2:
        raise argparse.ArgumentTypeError("expected a number from 0 to 2")
    return value


def _natural(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError("expected a whole number, 0 or more")
    return int(text)


def _batch(text: str) -> int:
    if not text.isdecimal() or int(text) < 2:
        raise argparse.ArgumentTypeError("expected a whole number, 2 or more: the others of a batch are the negatives")
    return int(text)
