"""The content of a report: a first line and tables. The formats only lay it out."""

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from loadtest.analysis.calls import CallSummary
from loadtest.analysis.latency import Latencies
from loadtest.analysis.likeness import differences
from loadtest.analysis.objective import Verdict
from loadtest.analysis.saturation import BUSY_SHARE
from loadtest.analysis.summary import Summary
from loadtest.reports.table import Table
from loadtest.reports.workers import machine_notes, machines_table

SHOWN_MESSAGES = 10
MANY_ERRORS = 0.01
MANY_CACHED = 0.1
PERCENTS = (50.0, 90.0, 95.0, 99.0, 99.9)
LATENCY_COLUMNS = ("count", "mean", "p50", "p90", "p95", "p99", "p99.9", "max")


def verdict(summary: Summary) -> str:
    """Returns the first line of every report: whether the generator, or the plan, was the limit."""
    generator = summary.generator
    if generator.saturated:
        busy = generator.busiest_share > BUSY_SHARE
        advice = "use more processes or a lower rate" if busy else "give it a separate core or machine"
        return (
            f"GENERATOR SATURATED: {'; '.join(generator.reasons)}. These figures say more about the generator than "
            f"about the server: {advice}."
        )
    if not summary.total.sent:
        return _without_records(summary)
    if summary.dropped:
        return (
            f"NOT ALL WAS SENT: {summary.dropped:,} of {summary.planned:,} requests were dropped because too many "
            "calls were unanswered: the server is slower than the rate."
        )
    if not generator.processes:
        return "NOT KNOWN whether the generator was saturated: its processes reported nothing."
    late = f"{summary.late:,} of {summary.total.sent:,} sends late, "
    if all(run.header["plan"]["loop"] == "closed" for run in summary.runs):
        late = ""  # A closed loop has no planned times.
    return f"The generator kept to its plan: {late}its busiest process at {generator.busiest_share:.0%} of a core."


def _without_records(summary: Summary) -> str:
    if summary.lost:
        return f"NOT ONE ANSWER IS KNOWN: {summary.lost:,} calls were in flight when a generator process died."
    if summary.warm_up:
        return f"ONLY THE WARM-UP WAS SENT, {summary.warm_up:,} requests: the run ended before the measured part."
    return "NOTHING WAS SENT in the measured part."


def verdict_kind(summary: Summary) -> str:
    """Returns `bad` for a verdict that makes the figures worthless, `unsure`, or `good`."""
    if summary.generator.saturated or not summary.total.sent:
        return "bad"
    return "unsure" if summary.error_share >= MANY_ERRORS or not summary.generator.processes else "good"


def notes(summary: Summary) -> list[str]:
    """Returns the other warnings that readers need before the figures."""
    lines = [f"PARTIAL: {reason}" for reason in summary.partial]
    if summary.planned and not summary.total.ok.count:
        lines.append("NOT ONE CALL SUCCEEDED.")
    elif summary.error_share >= MANY_ERRORS:
        lines.append(f"{summary.error_share:.1%} of the requests did not succeed.")
    lines += cache_notes(summary)
    if summary.dropped and summary.generator.saturated:
        lines.append(f"NOT ALL WAS SENT: {summary.dropped:,} of {summary.planned:,} requests were dropped.")
    if summary.unanswered:
        lines.append(
            f"{summary.unanswered:,} calls were UNANSWERED when the run ended: they count as errors, and waited at "
            "least as long as their latency says."
        )
    if summary.total.failed_answers:
        lines.append(
            f"{summary.total.failed_answers:,} calls ended with OK and an ERROR INSIDE THE ANSWER: they count by the "
            "code of their first error."
        )
    lines += machine_notes(summary.machines)
    if unlike := differences(summary.runs):
        lines.append(f"These runs are not comparable: they differ in {', '.join(unlike)}.")
    checks = summary.total.checks
    if checks.failed:
        lines.append(f"{checks.failed / checks.answers:.1%} of the checked answers failed a check.")
    if any(run.header["plan"]["loop"] == "closed" for run in summary.runs):
        lines.append("Closed loop: a slow answer delays the next request, and no latency includes that delay.")
    return lines


def cache_notes(summary: Summary) -> list[str]:
    """Returns a warning if many answers needed no encoding."""
    if not summary.total.cached_share >= MANY_CACHED:  # It may be NaN.
        return []
    return [
        f"{summary.total.cached_share:.1%} of the answers came from the server's cache of vectors, or from a lexical "
        "search: these figures are not those of the encoder. Queries with --unique do not repeat."
    ]


def closing(summary: Summary, verdicts: Sequence[Verdict] = ()) -> str:
    """Returns the last line of a report: why the run is bad; empty if it is not."""
    found = []
    if summary.mostly_failed:
        outcomes = {_called(each.code): each.count for each in (summary.total.refused, *summary.total.errors)}
        outcomes |= {"dropped": summary.dropped, "lost with a generator process": summary.lost}
        name = max(outcomes, key=lambda each: outcomes[each])
        found.append(
            f"MOST REQUESTS FAILED: {summary.error_share:.1%} of {summary.planned:,} did not succeed, most often "
            f"{name} ({outcomes[name]:,})."
        )
    if missed := [f"{each.objective.text} ({each.written})" for each in verdicts if not each.met]:
        found.append(f"NOT MET: {', '.join(missed)}.")
    return " ".join(found)


def headline(summary: Summary) -> dict[str, str]:
    """Returns the most important figures by their labels."""
    total, latency = summary.total, summary.total.ok.latency
    return {
        "offered": per_second(summary.offered_rate),
        "achieved": per_second(summary.achieved_rate),
        f"goodput (within {summary.within_seconds * 1e3:,g} ms)": per_second(summary.goodput_rate),
        **{
            f"p{percent:g} from the planned time": f"{milliseconds(latency.percentile(percent))} ms"
            for percent in (50, 99, 99.9)
        },
        "errors": _of(failed(total), summary.planned),
        "refused": _of(total.refused.count, summary.planned),
        "dropped (planned, not sent)": _of(summary.dropped, summary.planned),
        "sent late": _of(summary.late, total.sent),
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
        row(f"goodput (within {summary.within_seconds * 1e3:g} ms)", summary.total.goodput, summary.goodput_rate),
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
    rows = [(_called(each.code), f"{each.count:,}", _percent(each.count, summary.planned)) for each in outcomes]
    if summary.lost:
        rows.append(
            ("unanswered, sent by a process that died", f"{summary.lost:,}", _percent(summary.lost, summary.planned))
        )
    if summary.dropped:
        rows.append(("dropped, not sent", f"{summary.dropped:,}", _percent(summary.dropped, summary.planned)))
    if total.parts:
        share = _percent(total.failed_parts, total.parts)
        rows.append((f"parts of answers with an error, of {total.parts:,}", f"{total.failed_parts:,}", share))
    return Table("Outcomes", ("", "count", "share"), rows)


def messages_table(summary: Summary) -> Table:
    """Returns the messages of errors, most frequent first."""
    shown = summary.messages[:SHOWN_MESSAGES]
    rows = [(code, f"{count:,}", message or "-") for code, message, count in shown]
    if len(summary.messages) > SHOWN_MESSAGES:
        rows.append(("…", "", f"and {len(summary.messages) - SHOWN_MESSAGES} more: see report --format json"))
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
            rows.append((f"{_called(outcome.code)}, from the planned time", *latency_cells(outcome.latency)))
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
        counts = (f"{count:,}" for count in (call.refused.count, failed(call)))
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
        return name, f"{checked:,}", f"{failed:,}", _percent(failed, checked)

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


def environment_table(summary: Summary) -> Table:
    """Returns the environment and the plan of the first run, and the number of runs."""
    run = summary.runs[0]
    rows = [("results file", str(run.path))]
    if len(summary.runs) > 1:
        rows.insert(0, ("runs", f"{len(summary.runs)}; this table shows the first"))
    for part in ("environment", "plan"):
        rows += [
            (name.replace("_", " ").replace("cpu", "CPU"), _FORMS.get(name, _plain)(value))
            for name, value in run.header[part].items()
        ]
    return Table("Environment and plan", ("", ""), rows)


def latency_cells(latencies: Latencies) -> tuple[str, ...]:
    """Returns a distribution's cells of `LATENCY_COLUMNS`, in milliseconds."""
    values = [latencies.mean, *(latencies.percentile(percent) for percent in PERCENTS), latencies.percentile(100)]
    return (f"{latencies.count:,}", *(milliseconds(value) for value in values))


def milliseconds(seconds: float) -> str:
    """Returns a duration in milliseconds, to three digits or the millisecond."""
    if math.isnan(seconds):
        return "-"
    value = seconds * 1e3
    return f"{value:,.{0 if value >= 99.95 else 1 if value >= 9.995 else 2 if value >= 0.9995 else 3}f}"


def per_second(rate: float) -> str:
    """Returns a rate with its unit."""
    return f"{rate:,.1f}/s" if rate < 1000 else f"{rate:,.0f}/s"


def failed(call: CallSummary) -> int:
    """Returns the number of failed requests, without refused ones."""
    return sum(outcome.count for outcome in call.errors)


def _called(code: str) -> str:
    return f"refused ({code})" if code == "RESOURCE_EXHAUSTED" else code


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.2%}" if whole else "-"


def _of(count: int, total: int) -> str:
    return f"{count:,} ({count / total:.2%})" if count and total else f"{count:,}"


def _plain(value: Any) -> str:
    """Returns a readable form of a value in a run's header."""
    match value:
        case _ if value in (None, "", [], {}):
            return "-"
        case bool():
            return "yes" if value else "no"
        case dict():
            return ", ".join(f"{str(key).replace('_', ' ')} {_plain(each)}" for key, each in value.items())
        case list():
            return ", ".join(f"({_plain(each)})" if isinstance(each, list | dict) else _plain(each) for each in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _rates(segments: Sequence[tuple[float | None, float, float]]) -> str:
    """Returns the rates of a schedule's segments, each with its seconds; None seconds have no end."""
    return ", ".join(
        f"{rate:g}/s"
        + (f" to {rate_to:g}/s" if rate_to != rate else "")
        + (f" for {seconds:g} s" if seconds is not None else "")
        for seconds, rate, rate_to in segments
    )


def _calls(calls: Sequence[dict[str, Any]]) -> str:
    """Returns the calls of a mix: each method, and what differs from the defaults."""
    weights = sum(call.get("weight", 1.0) for call in calls)
    return "; ".join(
        str(call["method"])
        + (f", {call.get('weight', 1.0) / weights:.1%} of the calls" if len(calls) > 1 else "")
        + (f", {each} queries each" if (each := call.get("queries_per_call", 1)) > 1 else "")
        + (f", payload {json.dumps(payload, ensure_ascii=False)}" if (payload := call.get("payload")) else "")
        for call in calls
    )


_FORMS: dict[str, Callable[[Any], str]] = {"rates": _rates, "calls": _calls}
