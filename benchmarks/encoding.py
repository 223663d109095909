"""Compares the speed of all forms of a model at encoding queries: `make bench`.

Each contender runs on one core with one thread. Each round runs every setting of every contender, so a busy machine
slows all of them alike. Compare medians and ratios within one run. The best setting of a contender counts.
"""

import argparse
import importlib.metadata
import json
import logging
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np

from benchmarks.contenders import CONTENDERS, NATIVE, PACKED, STOCK, TORCH, Setting
from benchmarks.forms import build_forms
from benchmarks.memory import peak_bytes
from export.cpu import default_preset
from export.errors import ExportError
from export.options import check_evaluation_flags, evaluation_flags, open_corpus, vocabulary_flags
from export.packaged.models import DEFAULT_MODEL, find_packaged
from export.source import SourceModel
from loadtest.environment import describe_environment
from server.closed_pipe import until_closed_pipe
from server.encoding.golden import cosines
from server.encoding.kind import TextKind
from server.errors import StartError

LIBRARIES = ("numpy", "onnxruntime", "optimum-onnx", "sentence-transformers", "tokenizers", "torch", "transformers")
ROUNDS = 7
TEXTS = 512


def main() -> int:
    """Runs the benchmark; returns the exit code."""
    options = _parse()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    try:
        result = _run(options)
    except (ExportError, StartError) as error:
        print(f"bench: error: {error}", file=sys.stderr)
        return 1
    _print(result)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


def _run(options: argparse.Namespace) -> dict[str, Any]:
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})  # Also for child processes.
    versions = {name: importlib.metadata.version(name) for name in LIBRARIES}
    environment = describe_environment() | {"instructions": default_preset(), "versions": versions}
    queries = open_corpus(options).queries
    random = np.random.default_rng(options.seed)
    taken = [queries[row] for row in random.permutation(len(queries))[: options.texts]]
    texts = [query.query for query in taken]
    source = _open_source(options)
    with tempfile.TemporaryDirectory() as directory:
        print("building every form of the model …", file=sys.stderr, flush=True)
        forms = build_forms(source, texts, Path(directory))
        reference = source.encode([(text, TextKind.QUERY) for text in texts])
        settings = {name: CONTENDERS[name](form.place, form.workload) for name, form in forms.items()}
        rates = _measure(settings, rounds=options.rounds)
        vectors = {name: _best(each, rates[name]).encode() for name, each in settings.items() if each}
        rows: list[dict[str, Any]] = [
            {
                "name": name,
                "setting": _best(settings[name], rates[name]).label,
                "texts_per_second": round(max(statistics.median(each) for each in rates[name].values()), 1),
                "cosine_mean": round(float(cosines(found, reference).mean(dtype=np.float64)), 5),
                "cosine_min": round(float(cosines(found, reference).min()), 5),
                "peak_bytes": peak_bytes(name, forms[name].place, forms[name].workload),
            }
            for name, found in vectors.items()
        ]
    tokens = [len(ids) for ids in forms[STOCK].workload.token_ids]
    speeds = {row["name"]: row["texts_per_second"] for row in rows}
    ours = NATIVE if NATIVE in speeds else PACKED
    return {
        "environment": environment,
        "core": core,
        "model": source.name,
        "query_prefix": source.prefixes[TextKind.QUERY],
        "kept_words": len(source.trimmed.kept_ids) if source.trimmed else None,
        "texts": len(texts),
        "languages": dict(Counter(query.language for query in taken)),
        "tokens_mean": round(statistics.mean(tokens), 2),
        "tokens_p95": int(np.percentile(tokens, 95)),
        "rounds": options.rounds,
        "contenders": rows,
        "ours": ours,
        "times_stock": round(speeds[ours] / speeds[STOCK], 2),
        "times_torch": round(speeds[ours] / speeds[TORCH], 2),
        "texts_per_second": rates,
    }


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encoding", description=__doc__)
    parser.add_argument("--model", help=f"as for python -m export (default: {DEFAULT_MODEL.name})")
    parser.add_argument("--query-prefix", metavar="TEXT", help="text before every query (default: the model's prompt)")
    vocabulary_flags(parser)
    evaluation_flags(parser)
    parser.add_argument("--texts", type=int, default=TEXTS, metavar="N", help="queries (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help="rounds (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the shuffle (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all results to this file")
    options = parser.parse_args()
    check_evaluation_flags(parser, options)
    return options


def _open_source(options: argparse.Namespace) -> SourceModel:
    packaged = find_packaged(options.model)
    own_languages = packaged.languages if packaged else ()
    return SourceModel(
        options.model,
        prefixes={} if options.query_prefix is None else {TextKind.QUERY: options.query_prefix},
        languages=own_languages if options.languages is None else options.languages,
    )


def _measure(settings: dict[str, list[Setting]], *, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Returns the texts a second of each setting in each round."""
    rates: dict[str, dict[str, list[float]]] = {name: {each.label: [] for each in of} for name, of in settings.items()}
    for number in range(rounds + 1):  # The first round is the warm-up.
        print(f"round {number} of {rounds} …", file=sys.stderr, flush=True)
        for name, of in settings.items():
            for each in of:
                started = time.perf_counter()
                count = len(each.encode())
                if number:
                    rates[name][each.label].append(round(count / (time.perf_counter() - started), 1))
    return rates


def _best(settings: list[Setting], rates: dict[str, list[float]]) -> Setting:
    return max(settings, key=lambda each: statistics.median(rates[each.label]))


def _print(result: dict[str, Any]) -> None:
    rows, rates = result["contenders"], result["texts_per_second"]
    print(", ".join(f"{name} {value}" for name, value in result["environment"].items()))
    counts = ", ".join(f"{language} {count}" for language, count in result["languages"].items())
    print(
        f"{result['model']}, query prefix {result['query_prefix']!r}, {result['texts']} queries ({counts}) of "
        f"{result['tokens_mean']} tokens (p95 {result['tokens_p95']}), core {result['core']}, medians of "
        f"{result['rounds']} rounds"
    )
    if result["kept_words"]:
        print(f"Chaja's vocabulary is trimmed to {result['kept_words']} tokens; the others have all")
    print()
    speeds = {row["name"]: row["texts_per_second"] for row in rows}
    print(f"{'':34} {'texts/s':>8} {'× stock':>8} {'cosine to fp32':>17} {'peak MB':>8}  best setting")
    for row in rows:
        print(
            f"{row['name']:34} {row['texts_per_second']:8.0f} {row['texts_per_second'] / speeds[STOCK]:8.2f} "
            f"{row['cosine_mean']:8.4f} {row['cosine_min']:8.4f} {row['peak_bytes'] / 1e6:8.0f}  {row['setting']}"
        )
    print("\nevery setting, texts/s: median (lowest to highest)")
    for name, settings in rates.items():
        for label, values in settings.items():
            print(f"{name:34} {statistics.median(values):8.0f} ({min(values):.0f} to {max(values):.0f})  {label}")
    if NATIVE not in speeds:
        print(f"\n{NATIVE}: cannot run here: it needs AVX-512 with VNNI, and make native")
    print(
        f"\n{result['ours']}: {result['times_stock']:.2f} × stock INT8 at its best setting, "
        f"{result['times_torch']:.2f} × sentence-transformers"
    )


if __name__ == "__main__":
    sys.exit(until_closed_pipe(main))
