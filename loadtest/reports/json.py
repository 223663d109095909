"""The report as JSON, for programs: durations in seconds, shares from 0 to 1, missing values as null.

`json_keys.py` documents the schema. Raise `SCHEMA_VERSION` with every change that breaks readers.
"""

import json
import math
from typing import Any

import numpy as np

from loadtest.analysis import bins
from loadtest.analysis.calls import CallSummary
from loadtest.analysis.latency import Latencies
from loadtest.analysis.objective import Verdict
from loadtest.analysis.summary import Summary
from loadtest.codes import OUTCOMES
from loadtest.reports.cells import PERCENTS
from loadtest.reports.machines import machine_object
from loadtest.reports.verdict import verdict
from loadtest.stages import STAGES

SCHEMA_VERSION = 1
QUALITY = ("at", "labelled", "recall", "ndcg", "compared", "different")
GENERATOR = (
    "reasons", "processes", "late_share", "busiest_share", "cpu_seconds", "longest_lag_seconds", "memory_bytes",
)  # fmt: skip


def json_report(summary: Summary, verdicts: list[Verdict]) -> str:
    """Returns the report as JSON."""
    return json.dumps(known(report_object(summary, verdicts)), ensure_ascii=False, indent=2) + "\n"


def report_object(summary: Summary, verdicts: list[Verdict]) -> dict[str, Any]:
    """Returns the report as an object; missing values are NaN."""
    return {
        "schema_version": SCHEMA_VERSION,
        "verdict": verdict(summary),
        "saturated": summary.generator.saturated,
        "partial": summary.partial,
        "assertions": [{"assertion": each.objective.text, "value": each.value, "met": each.met} for each in verdicts],
        "seconds": summary.seconds,
        "requests": {
            "planned": summary.planned,
            "sent": summary.total.sent,
            "ok": summary.total.ok.count,
            "goodput": summary.total.goodput,
            "refused": summary.total.refused.count,
            "unanswered": summary.unanswered,
            "dropped": summary.dropped,
            "late": summary.late,
            "warm_up": summary.warm_up,
            "error_share": summary.error_share,
        },
        "rates": {
            "offered": summary.offered_rate,
            "sent": summary.sent_rate,
            "achieved": summary.achieved_rate,
            "goodput": summary.goodput_rate,
            "goodput_within_seconds": summary.within_seconds,
            "request_bytes": summary.bytes_rate(summary.total.request_bytes),
            "response_bytes": summary.bytes_rate(summary.total.response_bytes),
        },
        "all": _call(summary.total),
        "calls": [_call(call) for call in summary.calls],
        "messages": [{"code": code, "message": message, "count": count} for code, message, count in summary.messages],
        "quality": {name: getattr(summary.quality, name) for name in QUALITY},
        "generator": {name: getattr(summary.generator, name) for name in GENERATOR},
        "machines": [machine_object(machine) for machine in summary.machines],
        "timeline": timeline_rows(summary),
        "metrics": [scrape for run in summary.runs for scrape in run.metrics],
        "runs": [{"file": str(run.path), "partial": run.partial, **run.header} for run in summary.runs],
    }


def timeline_rows(summary: Summary) -> list[dict[str, Any]]:
    """Returns one object for each second."""
    timeline = summary.timeline
    percentiles = np.hstack([bins.percentiles(counts, [50, 99]) for counts in (timeline.latency, timeline.service)])
    names = ("p50_seconds", "p99_seconds", "service_p50_seconds", "service_p99_seconds")
    rows = []
    for second in range(len(timeline)):
        staged = int(timeline.staged[second])
        rows.append(
            {
                "second": second,
                "planned": int(timeline.planned[second] + timeline.dropped[second]),
                "dropped": int(timeline.dropped[second]),
                "answered": int(timeline.answered[second]),
                **dict(zip(names, percentiles[second].tolist(), strict=True)),
                **{
                    f"{stage}_seconds": float(timeline.stage_sums[second, column]) / staged if staged else math.nan
                    for column, stage in enumerate(STAGES)
                },
                "codes": {
                    OUTCOMES[code]: int(count) for code, count in enumerate(timeline.codes[second].tolist()) if count
                },
            }
        )
    return rows


def _call(call: CallSummary) -> dict[str, Any]:
    return {
        "name": call.name,
        "sent": call.sent,
        "goodput": call.goodput,
        "failed_answers": call.failed_answers,
        "parts": call.parts,
        "failed_parts": call.failed_parts,
        "request_bytes": call.request_bytes,
        "response_bytes": call.response_bytes,
        "outcomes": {
            code: {
                "count": outcome.count,
                "latency_seconds": _distribution(outcome.latency),
                "service_seconds": _distribution(outcome.service),
                "hdr_histogram": outcome.latency.encoded(),
            }
            for code, outcome in call.outcomes.items()
        },
        "stages_seconds": {stage: _distribution(latencies) for stage, latencies in call.stages.items()},
        "server_seconds": _distribution(call.server),
        "network_and_client_seconds": _distribution(call.beyond_server),
        "streams": {
            "calls": call.streams.calls,
            "silent": call.streams.silent,
            "messages_sent": call.streams.sent,
            "messages_received": call.streams.received,
            "first_message_seconds": _distribution(call.streams.first),
            "gap_seconds": _distribution(call.streams.between),
            "longest_gap_seconds": _distribution(call.streams.longest),
        },
        "cached_share": call.cached_share,
        "batch_texts": call.batch_texts / call.server.count if call.server.count else math.nan,
        "checks": {
            "answers": call.checks.answers,
            "failed": call.checks.failed,
            "each": [
                {"check": check, "answers": answers, "failed": failed}
                for check, (answers, failed) in call.checks.each.items()
            ],
        },
    }


def _distribution(latencies: Latencies) -> dict[str, float]:
    return {
        "count": latencies.count,
        "mean": latencies.mean,
        "min": latencies.percentile(0),
        **{f"p{percent:g}": latencies.percentile(percent) for percent in PERCENTS},
        "max": latencies.percentile(100),
    }


def known(value: Any) -> Any:
    """Returns the value with `None` for every NaN: JSON has no NaN."""
    if isinstance(value, dict):
        return {name: known(each) for name, each in value.items()}
    if isinstance(value, list):
        return [known(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
