"""The report of a replay: as a text for the terminal, and as JSON."""

from collections.abc import Sequence
from typing import Self

import msgspec
import numpy as np

from server.encoding.bundle import Bundle
from server.shadow.comparison import Change, ModeChange, Quantiles
from server.shadow.side import DEPTH, Side
from server.terminal import fitted, printable, table

COLUMN = 44
"""Width of a hit, in columns of a terminal."""

REVISION_CHARACTERS = 12


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """The bundle and the documents of a side."""

    bundle: str
    model: str
    revision: str
    dimension: int
    similarity: str
    max_query_tokens: int
    languages: list[str] | None
    documents: int
    examples: int


class Timed(msgspec.Struct, frozen=True, kw_only=True):
    """The time to tokenize and encode a query on its own, in milliseconds."""

    bundle: str
    encoder: str
    p50: float
    p99: float

    @classmethod
    def of(cls, bundle: Bundle, milliseconds: Sequence[float]) -> Self:
        """Takes the times of some queries."""
        p50, p99 = np.percentile(milliseconds, (50, 99)).tolist()
        return cls(bundle=str(bundle.directory), encoder=bundle.encoder_name, p50=p50, p99=p99)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a replay.

    Attributes:
        old: The side that serves.
        new: The side that is compared with it.
        queries: Number of queries that were replayed.
        left_out: Number of rarer queries that were not.
        without_tokens: Number of queries that a model cannot encode, which were not replayed either.
        measured: Number of queries that are measured: their right document is known.
        taught: Number of other such queries, which are example queries of a document: to find it measures nothing.
        modes: The changes by mode.
        encode: The speed of each bundle, the old one first; one if both sides have the same.
        old_titles: The title of each document of the old side, by id.
        new_titles: The same of the new side.
    """

    old: Described
    new: Described
    queries: int
    left_out: int
    without_tokens: int
    measured: int
    taught: int
    modes: list[ModeChange]
    encode: list[Timed]
    old_titles: dict[str, str]
    new_titles: dict[str, str]


def described(side: Side) -> Described:
    """Describes a side."""
    manifest = side.bundle.manifest
    return Described(
        bundle=str(side.bundle.directory),
        model=manifest.name,
        revision=manifest.revision,
        dimension=manifest.dimension,
        similarity=manifest.similarity,
        max_query_tokens=manifest.query.max_tokens,
        languages=manifest.languages,
        documents=len(side.documents),
        examples=sum(len(each.examples) for each in side.documents.values()),
    )


def as_json(report: Report) -> str:
    """Returns all of a report, with both lists of each query."""
    return msgspec.json.format(msgspec.json.encode(report)).decode() + "\n"


def as_text(report: Report, *, show: int) -> str:
    """Returns the tables of a report, and its most different queries, at most `show` for each mode."""
    lines = [
        _side("old", report.old),
        _side("new", report.new),
        *_warnings(report.old, report.new),
        "",
        *_counts(report),
    ]
    lines += ["", *_changes(report.modes), "", *_scores(report.modes), *_measures(report.modes), "", *_speed(report)]
    for each in report.modes:
        lines += _different(each, report, show=show)
    return "\n".join(lines)


def _side(name: str, side: Described) -> str:
    revision = side.revision[:REVISION_CHARACTERS]
    documents = f"documents: {side.documents:,}, example queries: {side.examples:,}"
    return f"{name}: {side.model} of revision {revision} ({side.bundle}), {documents}"


def _warnings(old: Described, new: Described) -> list[str]:
    """Returns the differences of the models that services may notice."""
    found = []
    if old.revision != new.revision:
        found.append("Scores of different models cannot be compared: check every min_score.")
    for name, attribute in (
        ("similarity", "similarity"),
        ("dimension", "dimension"),
        ("maximum of tokens", "max_query_tokens"),
        ("vocabulary", "languages"),
    ):
        before, after = (getattr(each, attribute) for each in (old, new))
        if before != after:
            found.append(f"Another {name}: {_plain(before)} -> {_plain(after)}.")
    return found


def _plain(value: object) -> str:
    return ",".join(value) if isinstance(value, list) else "whole" if value is None else str(value)


def _counts(report: Report) -> list[str]:
    lines = [f"{report.queries:,} different queries; measured: {report.measured:,} whose right document is known"]
    if report.left_out:
        lines.append(f"not replayed: {report.left_out:,} that occur less often (--max-queries)")
    if report.without_tokens:
        lines.append(f"not replayed: {report.without_tokens:,} for which a model has no tokens")
    if report.taught:
        lines.append(f"not measured: {report.taught:,} that are example queries")
    return lines


def _changes(modes: Sequence[ModeChange]) -> list[str]:
    header = ["", f"overlap@{DEPTH}", f"RBO@{DEPTH}", "identical", "other first hit", "no_good_answer"]
    rows = [
        [
            each.mode,
            f"{each.overlap:.3f}",
            f"{each.rank_biased_overlap:.3f}",
            f"{each.identical:.3f}",
            f"{each.first_changed:.3f}",
            f"+{each.flags_gained} -{each.flags_lost}",
        ]
        for each in modes
    ]
    return table(header, rows)


def _scores(modes: Sequence[ModeChange]) -> list[str]:
    header = ["score, p10 / p50 / p90", "first hit, old", "first hit, new", "change of a document's"]
    rows = [
        [each.mode, _quantiles(each.old_scores), _quantiles(each.new_scores), _quantiles(each.score_changes, "+")]
        for each in modes
    ]
    return table(header, rows)


def _quantiles(found: Quantiles | None, sign: str = "") -> str:
    return "" if found is None else " / ".join(f"{each:{sign}.3f}" for each in (found.p10, found.p50, found.p90))


def _measures(modes: Sequence[ModeChange]) -> list[str]:
    rows = [
        [
            f"{mode.mode} {each.measure}",
            f"{each.old:.3f}",
            f"{each.new:.3f}",
            f"{each.difference:+.3f}",
            "" if each.interval is None else f"[{each.interval[0]:+.3f}, {each.interval[1]:+.3f}]",
            f"{each.p:.3f}",
        ]
        for mode in modes
        for each in mode.measures
    ]
    return ["", *table(["", "old", "new", "difference", "95 % interval", "p"], rows)] if rows else []


def _speed(report: Report) -> list[str]:
    header = ["tokenize and encode one query, ms", "p50", "p99", "encoder"]
    names = ["old", "new"] if len(report.encode) > 1 else ["both"]
    rows = [
        [name, f"{each.p50:.2f}", f"{each.p99:.2f}", each.encoder]
        for name, each in zip(names, report.encode, strict=True)
    ]
    return table(header, rows)


def _different(mode: ModeChange, report: Report, *, show: int) -> list[str]:
    different = [each for each in mode.changes if each.old != each.new][:show]
    if not different:
        return []
    lines = ["", f"Most different in {mode.mode}: old | new"]
    for each in different:
        lines.append(f"{printable(each.query)}  (recorded {each.times} ×, overlap {each.overlap:.2f})")
        lines += _lists(each, report)
    return lines


def _lists(change: Change, report: Report) -> list[str]:
    """Returns both lists side by side; a star marks right documents."""

    def cell(ids: Sequence[str], titles: dict[str, str], row: int) -> str:
        if row >= len(ids):
            return ""
        id = ids[row]
        return f"{'*' if id in change.relevant else ' '}{id} {titles.get(id, '')}"

    rows = range(max(len(change.old), len(change.new)))
    old = [fitted(cell(change.old, report.old_titles, row), COLUMN) for row in rows]
    new = [printable(cell(change.new, report.new_titles, row)) for row in rows]
    return [f"  {row + 1:2} {old[row]} | {new[row]}" for row in rows]
