"""An evaluation as one page with charts. It needs no other file and no script, and fits the screen of a phone."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from html import escape

from export.evaluation.evaluation import Figure
from export.evaluation.measures import NAMES
from export.evaluation.report.charts import Mark, bars, curves, dots, legend
from export.evaluation.report.content import Content
from export.evaluation.report.text import COMPARED, interval_text, p_text
from export.evaluation.worst import Named, Worst

STYLE = """
:root { color-scheme: light dark; --ink: #1f2937; --back: #e5e7eb; --paper: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e5e7eb; --back: #374151; --paper: #111827; } }
body { margin: 0 auto; padding: 12px; max-width: 720px; color: var(--ink); background: var(--paper);
  font: 15px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.4em; } h2 { font-size: 1.15em; margin-top: 2em; } h3 { font-size: 1em; }
svg { display: block; width: 100%; max-width: 560px; } svg text { font-size: 13px; fill: var(--ink); }
svg .back { fill: var(--back); } svg .grid { stroke: var(--back); } svg .ink { stroke: var(--ink); }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 13px; white-space: nowrap; }
th, td { padding: 4px 8px; border-bottom: 1px solid var(--back); text-align: right; }
th:first-child, td:first-child { text-align: left; }
.legend { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: 4px 14px; font-size: 13px; }
.key { display: inline-block; width: 12px; height: 12px; margin-right: 5px; border-radius: 2px; }
details { border-bottom: 1px solid var(--back); padding: 6px 0; } summary { cursor: pointer; }
dl { margin: 6px 0 6px 16px; } dt { font-weight: 600; } dd { margin: 0 0 4px 12px; } .notes { font-size: 13px; }
"""

CURVE = ("R@1", "R@5", "R@10", "R@20")


def as_page(content: Content, *, first: Sequence[str] = ()) -> str:
    """Returns the page. `first` has HTML that comes before the measures."""
    evaluation, judged = content.evaluation, content.evaluation.judged
    title = escape(judged.name)
    counts = f"{len(judged.queries):,} queries, {len(judged.documents):,} documents"
    notes = "".join(f"<li>{escape(note)}</li>" for note in evaluation.notes)
    body = [
        f'<h1>{title}</h1><p>{counts}. Whiskers and brackets are 95 % intervals.</p><ul class="notes">{notes}</ul>',
        *first,
        *_measures(content),
        *_differences(content),
        *_slices(content),
        *_worst(content),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head>\n<body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def _measures(content: Content) -> Iterable[str]:
    evaluation = content.evaluation
    places = {name: place for place, name in enumerate(evaluation.systems)}
    for measure in ("R@1", "nDCG@10"):
        rows = [(each.system, _mark(each.figure(measure), places[each.system])) for each in evaluation.summaries]
        yield f"<h2>{measure}</h2>{bars(rows, title=measure)}"
    series = {each.system: [each.figure(measure).value for measure in CURVE] for each in evaluation.summaries}
    yield f"<h2>Recall by depth</h2>{curves(series, points=CURVE, title='Recall by depth')}{legend(places)}"
    rows_of_table = [
        [each.system, *(f"{figure.value:.3f}" for figure in each.figures)] for each in evaluation.summaries
    ]
    yield f"<h2>All measures</h2>{table(['system', *NAMES], rows_of_table)}"


def _differences(content: Content) -> Iterable[str]:
    baseline = content.evaluation.baseline
    rows = [
        [
            summary.system,
            *(
                f"{each.value:+.3f} {interval_text(each.interval)} {p_text(each.p_corrected)}"
                for each in summary.differences
                if each.measure in COMPARED
            ),
        ]
        for summary in content.evaluation.summaries
        if summary.differences
    ]
    if rows:
        yield f"<h2>Difference to {escape(baseline)}</h2>"
        yield "<p>p is that of a paired randomization test, corrected for the number of systems.</p>"
        yield table(["system", *COMPARED], rows)


def _slices(content: Content) -> Iterable[str]:
    if not content.slices:
        return
    systems = content.evaluation.systems
    shown = list(dict.fromkeys([content.best, content.evaluation.baseline]))
    yield f"<h2>R@1 of slices</h2>{legend({name: systems.index(name) for name in shown})}"
    for kind, group in itertools.groupby(content.slices, key=lambda each: each.kind):
        slices = list(group)
        rows = [
            (
                f"{each.name} ({each.queries:,})",
                [Mark(each.means[name]["R@1"], each.recall_intervals[name], systems.index(name)) for name in shown],
            )
            for each in slices
        ]
        figures = [[name, *(f"{each.means[name]['R@1']:.3f}" for each in slices)] for name in systems]
        header = ["system", *(each.name for each in slices)]
        yield f"<h3>By {escape(kind)}</h3>{dots(rows, title=f'R@1 by {kind}')}"
        yield f"<details><summary>All systems</summary>{table(header, figures)}</details>"


def _worst(content: Content) -> Iterable[str]:
    if content.worst:
        yield f"<h2>Worst queries of {escape(content.best)}</h2>"
        yield from (_worst_query(each) for each in content.worst)


def _worst_query(worst: Worst) -> str:
    rank = "not found" if worst.rank is None else f"found at rank {worst.rank}"
    others = ", ".join(f"{name} {rank or '–'}" for name, rank in worst.other_ranks.items())
    return (
        f"<details><summary>{escape(worst.query)}</summary><dl>"
        f"<dt>Right, {rank}</dt>{_named(worst.relevant)}<dt>Instead</dt>{_named(worst.found)}"
        f"<dt>Ranks of the other systems</dt><dd>{escape(others) or '–'}</dd></dl></details>"
    )


def _named(documents: Sequence[Named]) -> str:
    items = [f"<dd>{escape(each.title or each.id)} <small>{escape(each.id)}</small></dd>" for each in documents]
    return "".join(items) or "<dd>nothing</dd>"


def _mark(figure: Figure, place: int) -> Mark:
    return Mark(figure.value, figure.interval, place)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table that scrolls sideways where it is too wide."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    lines = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
