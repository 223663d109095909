"""How fast a model encodes queries in every form of it: `make bench`.

One core, one thread each. Every setting of every contender takes its turn in each
round, so that a busy machine slows all of them alike; what counts are medians, and
ratios within this run. A contender is as fast as its best setting.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np

from export.calibration import calibration_texts
from export.cpu import default_preset
from export.graphs import open_graphs
from export.options import evaluation_flags, open_corpus
from export.recipe import Recipe
from export.source import SourceModel
from server.encoding.golden import cosines
from server.encoding.kind import TextKind
from tests.benchmarks import contenders
from tests.benchmarks.contenders import CONTENDERS, NATIVE, PACKED, STOCK, TORCH, Setting, Workload
from tests.benchmarks.kernels import peak_products_per_second, products_of, profiled_share
from tests.benchmarks.machine import describe_machine, pin_to_one_core
from tests.benchmarks.memory import peak_bytes
from tests.benchmarks.stock import quantize_as_optimum_does

ROUNDS = 7
TEXTS = 512


def main() -> int:
    """Runs the benchmark; returns the exit code."""
    options = _parse()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    core = pin_to_one_core()
    queries = [query.query for query in open_corpus(options).queries]
    random = np.random.default_rng(options.seed)
    texts = [queries[row] for row in random.permutation(len(queries))[: options.texts]]
    machine = describe_machine()
    with tempfile.TemporaryDirectory() as directory:
        print("building every form of the model …", file=sys.stderr, flush=True)
        source = SourceModel(options.model)
        workload = Workload(texts, source.token_ids(texts))
        places = _build(source, Path(directory))
        reference = source.encode([(text, TextKind.QUERY) for text in texts])
        settings = {name: CONTENDERS[name](place, workload) for name, place in places.items()}
        rates = _measure(settings, rounds=options.rounds)
        vectors = {name: _best(each, rates[name]).encode() for name, each in settings.items() if each}
        _write_workload(workload, Path(directory) / "workload.json")
        rows = [
            {
                "name": name,
                "setting": _best(settings[name], rates[name]).label,
                "texts_per_second": round(max(statistics.median(each) for each in rates[name].values()), 1),
                "cosine_mean": round(float(cosines(found, reference).mean(dtype=np.float64)), 5),
                "cosine_min": round(float(cosines(found, reference).min()), 5),
                "peak_bytes": peak_bytes(name, places[name], Path(directory) / "workload.json"),
            }
            for name, found in vectors.items()
        ]
        shares = {name: profiled_share(places[name], workload, packed=name == PACKED) for name in (STOCK, PACKED)}
        if NATIVE in vectors:
            shares[NATIVE] = _native_share(places[NATIVE], workload, rows)
    tokens = [len(ids) for ids in workload.token_ids]
    result = {
        "machine": machine,
        "core": core,
        "model": source.name,
        "texts": len(texts),
        "tokens_mean": round(statistics.mean(tokens), 2),
        "tokens_p95": int(np.percentile(tokens, 95)),
        "rounds": options.rounds,
        "contenders": rows,
        "product_shares": {name: round(share, 3) for name, share in shares.items()},
        "texts_per_second": rates,
    }
    _print(result)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.encoding", description=__doc__)
    parser.add_argument("--model", help="as for python -m export (default: all-MiniLM-L6-v2)")
    evaluation_flags(parser)
    parser.add_argument("--texts", type=int, default=TEXTS, metavar="N", help="most queries (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the shuffle (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="writes everything there, too")
    return parser.parse_args()


def _build(source: SourceModel, directory: Path) -> dict[str, Path]:
    """Writes every form of the model; returns where each lies."""
    folders = {name: directory / name for name in ("torch", "padded", "stock", "packed", "ours")}
    for folder in folders.values():
        folder.mkdir()
    source.model.save(str(folders["torch"]), create_model_card=False)

    def silent(step: str) -> None:
        del step

    dynamic = Recipe(quantization="dynamic", preset=default_preset())
    padded = open_graphs(source, folders["padded"], dynamic, progress=silent)
    per_token = Recipe(quantization="per-token", preset=default_preset(), calibration=calibration_texts(None))
    packed = open_graphs(source, folders["packed"], per_token, progress=silent)
    ours = packed.quantize(folders["ours"], [])
    return {
        contenders.TORCH: folders["torch"],
        contenders.FP32: padded.fp32,
        contenders.STOCK: quantize_as_optimum_does(padded.fp32, folders["stock"]),
        contenders.PACKED: ours,
        contenders.NATIVE: ours,
    }


def _measure(settings: dict[str, list[Setting]], *, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Returns the texts a second of each setting in each round."""
    rates: dict[str, dict[str, list[float]]] = {name: {each.label: [] for each in of} for name, of in settings.items()}
    for number in range(rounds + 1):  # The first one warms up.
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


def _native_share(place: Path, workload: Workload, rows: list[dict[str, object]]) -> float:
    """Returns the share that the products take at least: what they would at the peak rate of the CPU."""
    rate = next(row["texts_per_second"] for row in rows if row["name"] == NATIVE)
    assert isinstance(rate, float)
    products = products_of(place.with_suffix(".safetensors"), workload)
    return products / peak_products_per_second() * rate / len(workload.texts)


def _write_workload(workload: Workload, path: Path) -> None:
    path.write_text(json.dumps({"texts": workload.texts, "token_ids": workload.token_ids}), encoding="utf-8")


def _print(result: dict[str, object]) -> None:
    machine, rows, rates = result["machine"], result["contenders"], result["texts_per_second"]
    assert isinstance(machine, dict)
    assert isinstance(rows, list)
    assert isinstance(rates, dict)
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    print(
        f"{result['model']}, {result['texts']} queries of {result['tokens_mean']} tokens (p95 {result['tokens_p95']}), "
        f"core {result['core']}, medians of {result['rounds']} rounds\n"
    )
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
    shares = result["product_shares"]
    assert isinstance(shares, dict)
    print("\nshare of kernel time inside integer products")
    for name, share in shares.items():
        how = "at least: their time at the CPU's peak rate" if name == NATIVE else "by ONNX Runtime's profile"
        print(f"{name:34} {share:8.1%}  {how}")
    best = max((name for name in (PACKED, NATIVE) if name in speeds), key=speeds.__getitem__)
    print(
        f"\n{best}: {speeds[best] / speeds[STOCK]:.2f} × stock INT8 at its best setting, "
        f"{speeds[best] / speeds[TORCH]:.2f} × sentence-transformers"
    )


if __name__ == "__main__":
    sys.exit(main())
