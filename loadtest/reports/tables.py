"""The tables of a report. The formats only lay them out."""

import math
import re
from collections.abc import Sequence

from loadtest.analysis.calls import CallSummary
from loadtest.analysis.objective import Verdict
from loadtest.analysis.summary import Summary
from loadtest.reports.cells import (
    LATENCY_COLUMNS,
    count_of,
    latency_cells,
    milliseconds,
    outcome_name,
    per_second,
    percent,
    with_unit,
)
from loadtest.reports.environment import environment_table
from loadtest.reports.machines import machines_table
from loadtest.reports.table import Table

SHOWN_MESSAGES = 10
_VARIABLE = re.compile(r"\b(?=[0-9a-fA-F-]{0,36}\d)[0-9a-fA-F]+(?:[-.:][0-9a-fA-F]+)*\b|\d+(?:\.\d+)?")
"""A part of an error's message that differs from call to call: a number, a duration, a UUID, an address."""


def headline(summary: Summary) -> dict[str, str]:
    """Returns the most important figures by their labels."""
    total, latency = summary.total, summary.total.ok.latency
    return {
        "offered": per_second(summary.offered_rate),
        "achieved": per_second(summary.achieved_rate),
        f"goodput (within {with_unit(summary.within_seconds)})": per_second(summary.goodput_rate),
        **{
            f"p{each:g} from the planned time": f"{milliseconds(latency.percentile(each))} ms" if latency.count else "-"
            for each in (50, 99, 99.9)
        },
        "errors": count_of(total.failed, summary.planned),
        "refused": count_of(total.refused.count, summary.planned),
        "dropped (planned, not sent)": count_of(summary.dropped, summary.planned),
        "sent late": count_of(summary.late, total.sent),
    }


def tables(summary: Summary, verdicts: Sequence[Verdict] = ()) -> list[Table]:
    """Returns all tables of a report."""
    found = [requests_table(summary), outcomes_table(summary), latency_table(summary)]
    if summary.messages:
        found.append(messages_table(summary))
    if summary.total.server.count:
        found.append(stages_table(summary))
    if summary.total.streams.calls:
        found.append(streams_table(summary))
    if len(summary.calls) > 1:
        found.append(calls_table(summary))
    if summary.quality.labelled or summary.quality.compared:
        found.append(quality_table(summary))
    if summary.total.checks.each:
        found.append(checks_table(summary))
    if verdicts:
        rows = [(each.objective.text, "met" if each.met else "NOT MET", each.written) for each in verdicts]
        found.append(Table("Assertions", ("assertion", "", "measured"), rows))
    found.append(generator_table(summary))
    if summary.machines:
        found.append(machines_table(summary.machines))
    return [*found, environment_table(summary)]


def requests_table(summary: Summary) -> Table:
    """Returns the numbers and rates of requests."""

    def row(name: str, count: int, rate: float) -> tuple[str, ...]:
        return name, f"{count:,}", f"{rate:,.1f}"

    rows = [
        row("offered", summary.planned, summary.offered_rate),
        row("sent", summary.total.sent, summary.sent_rate),
        row("achieved (OK)", summary.total.ok.count, summary.achieved_rate),
        row(f"goodput (within {with_unit(summary.within_seconds)})", summary.total.goodput, summary.goodput_rate),
        ("late sends", f"{summary.late:,}", "-"),
        ("dropped", f"{summary.dropped:,}", "-"),
        *(
            (name, f"{count:,}", f"{summary.bytes_rate(count):,.0f}")
            for name, count in (
                ("bytes of requests", summary.total.request_bytes),
                ("bytes of answers", summary.total.response_bytes),
            )
        ),
    ]
    return Table(f"Requests in {summary.seconds:.1f} s", ("", "count", "a second"), rows)


def outcomes_table(summary: Summary) -> Table:
    """Returns the requests by outcome."""
    total = summary.total
    outcomes = [total.ok, total.refused, *total.errors] if total.refused.count else [total.ok, *total.errors]
    rows = [(outcome_name(each.code), f"{each.count:,}", percent(each.count, summary.planned)) for each in outcomes]
    if summary.lost:
        rows.append(
            ("unanswered, sent by a process that died", f"{summary.lost:,}", percent(summary.lost, summary.planned))
        )
    if summary.dropped:
        rows.append(("dropped, not sent", f"{summary.dropped:,}", percent(summary.dropped, summary.planned)))
    if total.parts:
        share = percent(total.failed_parts, total.parts)
        rows.append((f"parts of answers with an error, of {total.parts:,}", f"{total.failed_parts:,}", share))
    return Table("Outcomes", ("", "count", "share"), rows)


def messages_table(summary: Summary) -> Table:
    """Returns the messages of errors, most frequent first; those that differ only in numbers and ids are one row."""
    alike: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for code, message, count in summary.messages:
        alike.setdefault((code, _VARIABLE.sub("…", message)), []).append((message, count))
    counts = {kind: sum(count for _, count in found) for kind, found in alike.items()}
    kinds = sorted(alike, key=lambda kind: -counts[kind])
    rows = [
        (kind[0], f"{counts[kind]:,}", (kind[1] if len(alike[kind]) > 1 else alike[kind][0][0]) or "-")
        for kind in kinds[:SHOWN_MESSAGES]
    ]
    if len(kinds) > SHOWN_MESSAGES:
        rows.append(("…", "", f"and {len(kinds) - SHOWN_MESSAGES} more: see report --format json"))
    return Table("Error messages, warm-up included", ("", "", ""), rows)


def latency_table(summary: Summary) -> Table:
    """Returns the client's latencies: successes, refused calls and each kind of error apart."""
    total = summary.total
    rows = [
        ("OK, from the planned time", *latency_cells(total.ok.latency)),
        ("OK, service time", *latency_cells(total.ok.service)),
    ]
    for outcome in [total.refused, *total.errors]:
        if outcome.count:
            rows.append((f"{outcome_name(outcome.code)}, from the planned time", *latency_cells(outcome.latency)))
    return Table("Latency in milliseconds", ("", *LATENCY_COLUMNS), rows)


def stages_table(summary: Summary) -> Table:
    """Returns the server's stage times, and the rest of the client's service time."""
    total = summary.total
    rows = [(stage, *latency_cells(latencies)) for stage, latencies in total.stages.items()]
    rows.append(("server, all stages", *latency_cells(total.server)))
    rows.append(("network + client", *latency_cells(total.beyond_server)))
    texts, cached = total.batch_texts / total.server.count, f"{total.cached_share:.1%} of the answers from the cache"
    return Table(f"Server stages in milliseconds; {texts:.1f} texts per batch; {cached}", ("", *LATENCY_COLUMNS), rows)


def streams_table(summary: Summary) -> Table:
    """Returns the times of the messages of streams."""
    streams = summary.total.streams
    rows = [
        ("from the send to the first message", *latency_cells(streams.first)),
        ("between two messages, mean of each stream", *latency_cells(streams.between)),
        ("between two messages, longest of each stream", *latency_cells(streams.longest)),
    ]
    seconds = summary.seconds or math.nan
    rates = f"{streams.sent / seconds:,.1f} messages/s sent, {streams.received / seconds:,.1f}/s received"
    return Table(f"Streams in milliseconds; {rates}", ("", *LATENCY_COLUMNS), rows)


def calls_table(summary: Summary) -> Table:
    """Returns the calls of a mix."""

    def row(call: CallSummary) -> tuple[str, ...]:
        counts = (f"{count:,}" for count in (call.refused.count, call.failed))
        return (call.name, f"{call.sent:,}", *latency_cells(call.ok.latency), *counts)

    columns = ("", "sent", "OK", *LATENCY_COLUMNS[1:], "refused", "errors")
    return Table("Calls, latency in milliseconds", columns, [row(call) for call in summary.calls])


def quality_table(summary: Summary) -> Table:
    """Returns the quality of the answers."""
    quality = summary.quality
    rows: list[tuple[str, ...]] = []
    if quality.labelled:
        rows.append((f"recall@{quality.at}", f"{quality.recall:.4f}", f"{quality.labelled:,} labelled answers"))
        rows.append((f"nDCG@{quality.at}", f"{quality.ndcg:.4f}", f"{quality.labelled:,} labelled answers"))
    if quality.compared:
        which = ", ".join(str(query) for query in quality.different_queries)
        beside = f"of {quality.compared:,} compared" + (f"; queries {which}" if which else "")
        rows.append(("answers that differ from the reference answers", f"{quality.different:,}", beside))
    return Table("Quality of the answers", ("", "", ""), rows)


def checks_table(summary: Summary) -> Table:
    """Returns the checks on answers, and for several calls the call of each."""

    def row(name: str, checked: int, failed: int) -> tuple[str, ...]:
        return name, f"{checked:,}", f"{failed:,}", percent(failed, checked)

    several = len(summary.calls) > 1
    rows = [
        row(f"{call.name}: {check}" if several else check, checked, failed)
        for call in summary.calls
        for check, (checked, failed) in call.checks.each.items()
    ]
    rows.append(row("answers with a failed check", summary.total.checks.answers, summary.total.checks.failed))
    return Table("Checks on successful answers", ("", "checked", "failed", "share"), rows)


def generator_table(summary: Summary) -> Table:
    """Returns the health of the generator."""
    generator = summary.generator
    rows = [
        ("processes", f"{generator.processes}"),
        ("busiest thread", f"{generator.busiest_share:.0%} of a core"),
        ("waited for a CPU, at most", f"{generator.waited_share:.1%} of the time"),
        ("CPU of all processes", f"{generator.cpu_seconds:.1f} s"),
        ("longest time that an event loop was blocked", f"{generator.longest_lag_seconds * 1e3:.1f} ms"),
        ("highest memory of a process", f"{generator.memory_bytes / 2**20:.0f} MiB"),
        ("warm-up requests, not counted", f"{summary.warm_up:,}"),
    ]
    return Table("Generator", ("", ""), rows)
