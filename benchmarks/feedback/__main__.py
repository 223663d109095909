"""Measures what `learn` makes of clicks: `make bench-feedback ARGS="--data DIR --split dev"`.

DIR has BEIR's layout. Each question of its split `train` is asked by three users, who click a document that answers it;
one click in five is on a random document. The policy of `learn` chooses the examples; R@1 of the questions of another
split is measured before and after. The exit code is 1 if it falls although `learn` accepts the examples.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import onnxruntime

from benchmarks.feedback.measuring import Result, measure
from export.errors import ExportError
from export.quality.corpus import Corpus, read_beir
from loadtest.environment import describe_environment
from sample.server_process import REPOSITORY
from server.closed_pipe import until_closed_pipe
from server.encoding.bundle import Bundle
from server.encoding.cutting import add_cutting_flags, chosen_cutting
from server.errors import StartError
from server.metrics.feedback import MODES


def main() -> int:
    """Runs the benchmark; returns the exit code."""
    options = _parse()
    try:
        return _run(options)
    except (ExportError, StartError) as error:
        print(f"bench-feedback: error: {error}", file=sys.stderr)
        return 2


def _run(options: argparse.Namespace) -> int:
    print(describe_environment(" ".join(sys.argv)) | {"onnxruntime": onnxruntime.__version__}, end="\n\n")
    missed = []
    bundle = Bundle(options.bundle, cutting=chosen_cutting(options))
    print("| set | questions with clicks | examples learnt | of them wrong | learn | mode | R@1 before | after |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for directory in options.data:
        name = f"{directory.name}, {options.split}"
        reported, train = _whole(directory, options.split), _whole(directory, "train")
        counts = [count or len(train.queries) for count in options.questions]
        with tempfile.TemporaryDirectory() as folder:
            for result in measure(bundle, reported, train, counts=counts, seed=options.seed, folder=Path(folder)):
                _print(name, result)
                missed += [f"{name}, {result.questions} questions: {each}" for each in result.missed]
    print("\n" + ("targets missed:\n" + "\n".join(missed) if missed else "every target was reached"))
    return 1 if missed else 0


def _whole(directory: Path, split: str) -> Corpus:
    """Reads a split in an order that a seed draws."""
    return read_beir(directory, split=split, max_queries=sys.maxsize, max_documents=sys.maxsize)


def _print(name: str, result: Result) -> None:
    refused = f"refuses ({', '.join(result.held_out.worse)} falls)" if result.held_out.worse else "accepts"
    for mode in MODES:
        print(
            f"| {name} | {result.questions} | {result.learnt} | {result.wrong} | {refused} | {mode} "
            f"| {result.before[mode]:.3f} | {result.after[mode]:.3f} |",
            flush=True,
        )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.feedback", description=__doc__)
    data = "set in BEIR's layout with a split train; repeatable"
    parser.add_argument("--data", type=Path, action="append", required=True, metavar="DIR", help=data)
    parser.add_argument("--split", default="test", help="split whose questions are reported (default: %(default)s)")
    counts = "questions of train with clicks, 0 for all; repeatable values (default: 0)"
    parser.add_argument("--questions", type=int, nargs="+", default=[0], metavar="N", help=counts)
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the clicks (default: %(default)s)")
    parser.add_argument("--bundle", type=Path, default=REPOSITORY / "build/bundle", metavar="DIR", help="bundle")
    add_cutting_flags(parser)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(until_closed_pipe(main))
