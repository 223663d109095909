"""An evaluation as a text for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from export.evaluation.evaluation import Evaluation
from export.evaluation.measures import NAMES

COMPARED = ("R@1", "R@10", "nDCG@10")
"""The measures whose differences are printed; JSON has all."""

LEAST_P = 0.001


def as_text(evaluation: Evaluation) -> str:
    """Returns the tables of an evaluation."""
    judged = evaluation.judged
    lines = [
        f"{judged.name}: {len(judged.queries):,} queries, {len(judged.documents):,} documents",
        *evaluation.notes,
        "",
    ]
    return "\n".join([*lines, *_measures(evaluation), *_differences(evaluation)])


def _measures(evaluation: Evaluation) -> list[str]:
    rows = [
        [summary.system, *(f"{each.value:.3f}" for each in summary.figures), _interval(summary.figure("R@1").interval)]
        for summary in evaluation.summaries
    ]
    return table(["system", *NAMES, "95 % of R@1"], rows)


def _differences(evaluation: Evaluation) -> list[str]:
    rows = [
        [
            summary.system,
            *(
                f"{each.value:+.3f} {_interval(each.interval)} {_p(each.p_corrected)}"
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


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns the lines of a table; the first column is aligned at the left, the others at the right."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in [header, *rows]
    ]


def _interval(bounds: tuple[float, float] | None) -> str:
    return "" if bounds is None else f"[{bounds[0]:.3f}, {bounds[1]:.3f}]"


def _p(value: float) -> str:
    return f"p<{LEAST_P:g}" if value < LEAST_P else f"p={value:.3f}"
