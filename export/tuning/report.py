"""The comparison of a tuning as a text and as a page."""

from __future__ import annotations

from export.evaluation.evaluation import Summary
from export.evaluation.report import html, text
from export.evaluation.report.charts import curves, legend
from export.evaluation.report.content import content_of
from export.tuning.comparison import BEFORE, Comparison, after
from export.tuning.development import MEASURE
from server.ranking.options import Mode
from server.terminal import table

SHOWN = ("R@1", "R@5", "R@10", "nDCG@10")


def as_text(comparison: Comparison) -> str:
    """Returns the tables of the evaluation, and the curve of labels."""
    return "\n".join([text.as_text(content_of(comparison.evaluation, worst=0)), "", *table(*_curve(comparison))])


def as_page(comparison: Comparison) -> str:
    """Returns a page with charts."""
    header, rows = _curve(comparison)
    series = {
        mode.name: [
            _summary(comparison, f"{mode.name}{suffix}").figure("R@1").value for suffix in _suffixes(comparison)
        ]
        for mode in (Mode.DENSE, Mode.HYBRID)
    }
    chart = curves(series, points=[row[0] for row in rows], title="R@1 by number of labels")
    names = {name: place for place, name in enumerate(series)}
    first = [f"<h2>R@1 by number of labels</h2>{chart}{legend(names)}", html.table(header, rows)]
    return html.as_page(content_of(comparison.evaluation, worst=0), first=first)


def _curve(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Returns the header and the rows of the curve in DENSE mode."""
    header = ["labels", *SHOWN, "95 % of R@1", f"{MEASURE}, dev part", "R@1 without labels"]
    development = [comparison.points[0].trained.before, *(each.trained.after for each in comparison.points)]
    without = [None, *(each.without_labels for each in comparison.points)]
    rows = []
    counts = [0, *(each.labels for each in comparison.points)]
    for count, suffix, score, others in zip(counts, _suffixes(comparison), development, without, strict=True):
        summary = _summary(comparison, f"{Mode.DENSE.name}{suffix}")
        rows.append(
            [
                f"{count:,}",
                *(f"{summary.figure(measure).value:.3f}" for measure in SHOWN),
                text.interval_text(summary.figure("R@1").interval),
                f"{score:.3f}",
                "" if others is None else f"{others.before:.3f} to {others.after:.3f} ({others.queries:,})",
            ]
        )
    return header, rows


def _suffixes(comparison: Comparison) -> list[str]:
    return [BEFORE, *(after(each.labels) for each in comparison.points)]


def _summary(comparison: Comparison, system: str) -> Summary:
    return next(each for each in comparison.evaluation.summaries if each.system == system)
