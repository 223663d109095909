"""The sentences of a report: the verdict in its first line, warnings before the figures, and its last line."""

from collections.abc import Sequence

from loadtest.analysis.likeness import differences
from loadtest.analysis.objective import Verdict
from loadtest.analysis.saturation import BUSY_SHARE
from loadtest.analysis.summary import Summary
from loadtest.reports.cells import outcome_name
from loadtest.reports.machines import machine_notes

MANY_ERRORS = 0.01
MANY_CACHED = 0.1


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
    if summary.total.streams.silent:
        lines.append(
            f"{summary.total.streams.silent:,} streams ended with OK and WITHOUT A MESSAGE: a server that hangs does "
            "so, too, if --stream-duration ends its streams."
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
    advice = "Queries with --unique do not repeat."
    if any(run.header["plan"].get("compared_with_reference_answers") for run in summary.runs):
        # The server has seen each query when it gave the reference answer, so --unique is refused.
        advice = "With --check-answers, only a server without a cache (--cache-bytes 0) encodes each query again."
    return [
        f"{summary.total.cached_share:.1%} of the answers came from the server's cache of vectors, or from a lexical "
        f"search: these figures are not those of the encoder. {advice}"
    ]


def closing(summary: Summary, verdicts: Sequence[Verdict] = ()) -> str:
    """Returns the last line of a report: why the run is bad; empty if it is not."""
    found = []
    if summary.mostly_failed:
        outcomes = {outcome_name(each.code): each.count for each in (summary.total.refused, *summary.total.errors)}
        outcomes |= {"dropped": summary.dropped, "lost with a generator process": summary.lost}
        name = max(outcomes, key=lambda each: outcomes[each])
        found.append(
            f"MOST REQUESTS FAILED: {summary.error_share:.1%} of {summary.planned:,} did not succeed, most often "
            f"{name} ({outcomes[name]:,})."
        )
    if missed := [f"{each.objective.text} ({each.written})" for each in verdicts if not each.met]:
        found.append(f"NOT MET: {', '.join(missed)}.")
    return " ".join(found)
