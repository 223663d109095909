"""Measures the recall of each search mode: `make bench-retrieval ARGS="--data DIR --split dev"`.

DIR has BEIR's layout (`corpus.jsonl`, `queries.jsonl`, `qrels/SPLIT.tsv`). The default is the sample catalogue with its
queries. If a set has a split `train`, its questions also serve as example queries, 1 to 10 per document. Searches use
the server's code. The exit code is 1 if a target is missed.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import onnxruntime

from benchmarks.retrieval.measuring import ALL, DEPTHS, MODES, UNANSWERABLE, Measured, by_language, measure
from benchmarks.retrieval.sets import beir_set, sample_set
from benchmarks.retrieval.targets import missed_targets
from export.errors import ExportError
from export.evaluation.judged import JudgedSet
from loadtest.environment import describe_environment
from sample.server_process import REPOSITORY
from server.closed_pipe import until_closed_pipe
from server.encoding.bundle import Bundle
from server.errors import StartError


def main() -> int:
    """Runs the benchmark; returns the exit code."""
    options = _parse()
    try:
        return _run(options)
    except (ExportError, StartError) as error:
        print(f"bench-retrieval: error: {error}", file=sys.stderr)
        return 2


def _run(options: argparse.Namespace) -> int:
    environment = describe_environment(" ".join(sys.argv)) | {"onnxruntime": onnxruntime.__version__}
    print(environment)
    sets = [beir_set(directory, options.split) for directory in options.data or []] or [sample_set()]
    results, missed = [], []
    for chosen in sets:
        print(f"\n## {chosen.name}: {len(chosen.documents)} documents\n", flush=True)
        for directory in options.bundle or [REPOSITORY / "build/bundle"]:
            bundle = Bundle(directory)
            name = bundle.manifest.name
            measured = measure(bundle, chosen)
            _print(name, measured)
            results.append(_plain(name, chosen, measured))
            targets = missed_targets(measured.recall, model=name, name=chosen.name)
            missed += [f"{name} on {chosen.name}: {each}" for each in targets]
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        content = {"environment": environment, "results": results, "missed": missed}
        options.json.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print("\n" + ("targets missed:\n" + "\n".join(missed) if missed else "every target was reached"))
    return 1 if missed else 0


def _print(name: str, measured: Measured) -> None:
    print(f"| {name} | examples | queries | n | {' | '.join(f'R@{depth}' for depth in DEPTHS)} |")
    print("|---|---|---|---|" + "---|" * len(DEPTHS))
    languages = by_language(measured.queries)
    for row, recall in measured.recall.items():
        if row.language in languages:
            figures = " | ".join(f"{recall[depth]:.3f}" for depth in DEPTHS)
            print(f"| {row.mode} | {row.examples} | {row.language} | {measured.queries[row.language]} | {figures} |")
    kinds = ("answerable", *UNANSWERABLE)
    print(f"\n| flagged as having no good answer | queries | {' | '.join(kinds)} |\n|---|---|" + "---|" * len(kinds))
    for mode in MODES:
        for language in [each for each in languages if each != ALL]:
            shares = [measured.flagged.get((mode, language, kind)) for kind in kinds]
            print(f"| {mode} | {language} | {' | '.join('' if each is None else f'{each:.3f}' for each in shares)} |")
    times = ", ".join(f"{mode} {p50:.2f} / {p99:.2f}" for mode, (p50, p99) in measured.search_milliseconds.items())
    print(f"\nsearch, p50 / p99 in milliseconds: {times}\n", flush=True)


def _plain(name: str, chosen: JudgedSet, measured: Measured) -> dict[str, Any]:
    return {
        "model": name,
        "set": chosen.name,
        "documents": len(chosen.documents),
        "queries": measured.queries,
        "recall": [
            row._asdict() | {f"R@{depth}": share for depth, share in recall.items()}
            for row, recall in measured.recall.items()
        ],
        "no_good_answer": [
            {"mode": mode, "language": language, "kind": kind, "share": share}
            for (mode, language, kind), share in measured.flagged.items()
        ],
        "search_milliseconds": measured.search_milliseconds,
    }


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retrieval", description=__doc__)
    data = "set in BEIR's layout; repeatable"
    parser.add_argument("--data", type=Path, action="append", metavar="DIR", help=data)
    parser.add_argument("--split", default="test", help="split with the labels (default: %(default)s)")
    compared = "bundle; repeatable, to compare models (default: build/bundle)"
    parser.add_argument("--bundle", type=Path, action="append", metavar="DIR", help=compared)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all results to this file")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(until_closed_pipe(main))
