"""Runs `python -m export tune`: trains with each number of labels, exports, and compares with the model before."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from export.errors import ExportError
from export.progress import Progress
from export.silence import silence_libraries
from export.tuning import flags
from export.tuning.comparison import Comparison, compared
from export.tuning.labels import Labels, check_labels, read_labels
from export.tuning.report import as_page, as_text
from server.encoding.bundle import Bundle
from server.encoding.cutting import chosen_cutting
from server.report_files import check_report, write_report


def main(arguments: Sequence[str]) -> None:
    """Runs the command line.

    Raises:
        ExportError, StartError: A file, a model or a bundle cannot be used. Nothing is overwritten then.
        KeyboardInterrupt: Ctrl-C or SIGTERM. Its message says how to go on if there is a checkpoint.
    """
    options = flags.parse(arguments)
    check_report(options.html)
    with Progress() as progress:
        comparison = _tune(options, progress)
        progress.finish()
    print(as_text(comparison))
    print(f"\nbundle: {options.out}")
    if options.html is not None:
        write_report(options.html, as_page(comparison))


def _tune(options: argparse.Namespace, progress: Progress) -> Comparison:
    progress("reading documents and labels")
    labels = read_labels(
        directory=options.eval,
        split=options.split,
        catalogue=options.catalogue,
        queries=options.queries,
        labels=options.labels,
        most_judged=options.eval_queries,
        per_document=options.labels_per_document,
        drop_leaks=options.drop_leaks,
        seed=options.seed,
    )
    counts = _counts(options, labels)
    if options.before is not None:
        Bundle(options.before)  # A bundle that cannot be opened is known before hours of work.
    progress("loading the libraries")
    silence_libraries()
    try:
        import accelerate  # noqa: F401  The trainer needs it, and says so in many lines.
    except ImportError:
        raise ExportError("tune needs accelerate: pip install 'accelerate>=1.10,<2'") from None
    from export.staging import check_out
    from export.tuning.tuned import Tuning

    check_out(options.out)
    tuning = Tuning(options, labels, counts, progress)
    with tuning.folder.kept(), tempfile.TemporaryDirectory() as folder:
        before = options.before or Path(folder) / "before"
        if options.before is None:
            tuning.write_before(before)
        bundles = {count: Path(folder) / str(count) for count in counts[:-1]} | {counts[-1]: options.out}
        scores = {count: tuning.write(count, out) for count, out in bundles.items()}
        return compared(
            labels,
            scores,
            before,
            bundles,
            per_document=options.examples_per_document,
            cutting=chosen_cutting(options),
            progress=progress,
        )


def _counts(options: argparse.Namespace, labels: Labels) -> list[int]:
    """Returns the numbers of labels to train with, ascending. The model before, with 0 labels, is always compared."""
    total = len(labels.labels)
    wanted = [total] if options.curve is None else [total if each is None else each for each in options.curve]
    counts = sorted({min(each, total) for each in wanted if each})
    for count in counts:
        check_labels(labels.first(count).labels, labels.name)
    return counts
