"""An evaluation as a text for the terminal."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from export.evaluation.evaluation import Evaluation
from export.evaluation.measures import NAMES
from export.evaluation.report.content import Content
from export.evaluation.worst import Named
from server.terminal import table

COMPARED = ("R@1", "R@10", "nDCG@10")
"""The measures whose differences are printed; JSON has all."""

LEAST_P = 0.001

TITLE_CHARACTERS = 60


def as_text(content: Content) -> str:
    """Returns the tables of an evaluation, and its worst queries."""
    evaluation, judged = content.evaluation, content.evaluation.judged
    lines = [
        f"{judged.name}: {len(judged.queries):,} queries, {len(judged.documents):,} documents",
        *evaluation.notes,
        "",
    ]
    return "\n".join([*lines, *_measures(evaluation), *_differences(evaluation), *_slices(content), *_worst(content)])


def _measures(evaluation: Evaluation) -> list[str]:
    rows = [
        [
            summary.system,
            *(f"{each.value:.3f}" for each in summary.figures),
            interval_text(summary.figure("R@1").interval),
        ]
        for summary in evaluation.summaries
    ]
    return table(["system", *NAMES, "95 % of R@1"], rows)


def _differences(evaluation: Evaluation) -> list[str]:
    rows = [
        [
            summary.system,
            *(
                f"{each.value:+.3f} {interval_text(each.interval)} {p_text(each.p_corrected)}"
                for each in summary.differences
                if each.measure in COMPARED
            ),
        ]
        for summary in evaluation.summaries
        if summary.differences
    ]
    if not rows:
        return []
    title = f"Difference to {evaluation.baseline}, its 95 % interval, p of a paired test (corrected for all systems)"
    return ["", title, *table(["system", *COMPARED], rows)]


def _slices(content: Content) -> list[str]:
    lines = []
    for kind, group in itertools.groupby(content.slices, key=lambda each: each.kind):
        slices = list(group)
        header = [f"R@1 by {kind}", *(f"{each.name} ({each.queries:,})" for each in slices)]
        rows = [[name, *(f"{each.means[name]['R@1']:.3f}" for each in slices)] for name in content.evaluation.systems]
        lines += ["", *table(header, rows)]
    return lines


def _worst(content: Content) -> list[str]:
    if not content.worst:
        return []
    lines = ["", f"Worst queries of {content.best}"]
    for each in content.worst:
        rank = "not found" if each.rank is None else f"found at rank {each.rank}"
        better = [f"{name} {rank}" for name, rank in each.other_ranks.items() if rank and rank < (each.rank or 999)]
        lines += [
            f"  {each.query}",
            f"    right: {_names(each.relevant)}; {rank}",
            f"    instead: {_names(each.found) or 'nothing'}",
        ]
        lines += [f"    better: {', '.join(better)}"] if better else []
    return lines


def _names(documents: Sequence[Named]) -> str:
    return " | ".join(f"{each.id} {each.title[:TITLE_CHARACTERS]}".strip() for each in documents)


def interval_text(bounds: tuple[float, float] | None) -> str:
    """Returns an interval in brackets; empty if there is none."""
    return "" if bounds is None else f"[{bounds[0]:.3f}, {bounds[1]:.3f}]"


def p_text(value: float) -> str:
    """Returns a p-value with its name."""
    return f"p<{LEAST_P:g}" if value < LEAST_P else f"p={value:.3f}"
