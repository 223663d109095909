"""The figures of the status page, from the metrics: what they were in the last minute, and what they are now."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import msgspec

from server.http.pages.reading import Reading, Window
from server.stages import STAGES

SEARCH = ("unary", "chaja.v1.SearchService", "Search")

REFUSED = frozenset(["ResourceExhausted"])
FAILED = frozenset(["Unknown", "DeadlineExceeded", "Internal", "Unavailable", "DataLoss"])
"""The codes of calls that the server refused or failed. With the other codes the caller erred, or left."""


class Percentiles(msgspec.Struct, frozen=True):
    """Percentiles of a time in a window; None if nothing was measured."""

    p50_seconds: float | None
    p95_seconds: float | None
    p99_seconds: float | None

    @classmethod
    def of(cls, window: Window, name: str, *labels: str) -> Percentiles:
        """Reads a histogram."""
        return cls(*(window.quantile(share, name, *labels) for share in (0.5, 0.95, 0.99)))


class StageFigures(msgspec.Struct, frozen=True):
    """The times of one stage in a window. `share` is its part of the time of all stages."""

    stage: str
    mean_seconds: float | None
    share: float | None
    percentiles: Percentiles


class MethodFigures(msgspec.Struct, frozen=True):
    """The calls of one method in a window."""

    service: str
    method: str
    calls_per_second: float
    refused_share: float
    failed_share: float
    percentiles: Percentiles


class Figures(msgspec.Struct, frozen=True):
    """The figures of a window. A share is from 0 to 1, and None if nothing was counted. NaN becomes null in JSON."""

    calls_per_second: float
    refused_per_second: float
    failed_per_second: float
    refused_share: float | None
    failed_share: float | None
    searches_per_second: float
    search: Percentiles
    within_objective_share: float | None
    latency_objective_seconds: float
    no_hits_share: float | None
    no_good_answer_share: float | None
    stages: list[StageFigures]
    methods: list[MethodFigures]
    queue_texts: float
    predicted_wait_seconds: float
    batch_texts: float | None
    batch_tokens: float | None
    cache_share: float | None
    hit_cache_share: float | None
    cpu_cores: float
    event_loop_lag_seconds: float | None
    changes_per_second: float


class Gauges(msgspec.Struct, frozen=True):
    """Values of the last reading. Times are Unix times; 0 stands for never, NaN for unknown."""

    started_at: float
    documents: float
    vectors: float
    graph_vectors: float
    exact_vectors: float
    dead_vectors: float
    sequence: float
    change_lag_seconds: float
    recall: float
    ef_search: float
    workers: float
    workers_alive: float
    last_reload_failed: float
    snapshot_timestamp_seconds: float
    backup_timestamp_seconds: float
    backup_interval_seconds: float
    certificate_expiry_timestamp_seconds: float
    data_free_bytes: float
    memory_bytes: float
    cache_bytes: float
    encoded_texts: float
    open_descriptors: float
    max_descriptors: float
    model: dict[str, str]
    build: dict[str, str]


def figures_of(window: Window) -> Figures:
    """Returns the figures of a window."""
    seconds = window.seconds
    codes = codes_of(window)
    calls, refused, failed = codes.total(), _total(codes, REFUSED), _total(codes, FAILED)
    results = {labels[0]: count for labels, count in window.increases("chaja_searches_total").items()}
    searches = sum(results.values())
    objective = window.last.value("chaja_latency_objective_seconds")
    return Figures(
        calls_per_second=calls / seconds,
        refused_per_second=refused / seconds,
        failed_per_second=failed / seconds,
        refused_share=_share(refused, calls),
        failed_share=_share(failed, calls),
        searches_per_second=searches / seconds,
        search=Percentiles.of(window, "grpc_server_handling_seconds", *SEARCH),
        within_objective_share=_share_within(window, objective),
        latency_objective_seconds=objective,
        no_hits_share=_share(results.get("no_hits", 0.0), searches),
        no_good_answer_share=_share(results.get("no_good_answer", 0.0), searches),
        stages=_stages(window),
        methods=_methods(window),
        queue_texts=window.last.value("chaja_queue_texts"),
        predicted_wait_seconds=window.last.value("chaja_predicted_wait_seconds"),
        batch_texts=window.mean("chaja_batch_texts"),
        batch_tokens=window.mean("chaja_batch_tokens"),
        cache_share=_cache_share(window, "chaja_cache_lookups_total"),
        hit_cache_share=_cache_share(window, "chaja_hit_cache_lookups_total"),
        cpu_cores=window.rate("process_cpu_seconds_total"),
        event_loop_lag_seconds=window.quantile(0.99, "chaja_event_loop_lag_seconds"),
        changes_per_second=window.rate("chaja_changes_total"),
    )


def gauges_of(reading: Reading) -> Gauges:
    """Returns the values of the last reading."""
    value = reading.value
    return Gauges(
        started_at=value("process_start_time_seconds"),
        documents=value("chaja_catalogue_documents"),
        vectors=value("chaja_catalogue_vectors"),
        graph_vectors=value("chaja_index_vectors", "graph"),
        exact_vectors=value("chaja_index_vectors", "exact"),
        dead_vectors=value("chaja_index_vectors", "dead"),
        sequence=value("chaja_catalogue_sequence"),
        change_lag_seconds=value("chaja_change_lag_seconds"),
        recall=min(value("chaja_index_recall", query) for query in ("search", "document")),
        ef_search=value("chaja_index_ef_search"),
        workers=value("chaja_workers"),
        workers_alive=value("chaja_workers_alive"),
        last_reload_failed=value("chaja_last_reload_failed"),
        snapshot_timestamp_seconds=value("chaja_snapshot_timestamp_seconds"),
        backup_timestamp_seconds=value("chaja_backup_timestamp_seconds"),
        backup_interval_seconds=value("chaja_backup_interval_seconds"),
        certificate_expiry_timestamp_seconds=value("chaja_certificate_expiry_timestamp_seconds"),
        data_free_bytes=value("chaja_data_free_bytes"),
        memory_bytes=value("process_resident_memory_bytes"),
        cache_bytes=value("chaja_cache_bytes"),
        encoded_texts=value("chaja_batch_texts_sum"),
        open_descriptors=value("process_open_fds"),
        max_descriptors=value("process_max_fds"),
        model=reading.info("chaja_model_info"),
        build=reading.info("chaja_build_info"),
    )


def codes_of(window: Window) -> Counter[str]:
    """Returns the number of calls and queries of streams that ended in a window, by the code of their answer."""
    codes: Counter[str] = Counter()
    for name in ("grpc_server_handled_total", "chaja_stream_queries_total"):
        for labels, count in window.increases(name).items():
            codes[labels[-1]] += int(count)
    return codes


def reasons_of(window: Window) -> Counter[str]:
    """Returns the number of calls and queries of streams that ended with an error in a window, by its reason."""
    return Counter({labels[0]: int(count) for labels, count in window.increases("chaja_call_errors_total").items()})


def _stages(window: Window) -> list[StageFigures]:
    means = {stage: window.mean("chaja_stage_seconds", stage) for stage in STAGES}
    sums = {stage: window.increase("chaja_stage_seconds_sum", stage) for stage in STAGES}
    return [
        StageFigures(
            stage,
            means[stage],
            _share(sums[stage], sum(sums.values())),
            Percentiles.of(window, "chaja_stage_seconds", stage),
        )
        for stage in STAGES
    ]


def _methods(window: Window) -> list[MethodFigures]:
    """Returns the methods that were called in a window, the most frequent first."""
    handled: dict[tuple[str, ...], Counter[str]] = {}
    for (*method, code), count in window.increases("grpc_server_handled_total").items():
        handled.setdefault(tuple(method), Counter())[code] += int(count)
    called = {method: codes for method, codes in handled.items() if codes.total()}
    return [
        MethodFigures(
            service=method[1].removeprefix("chaja.v1."),
            method=method[2],
            calls_per_second=codes.total() / window.seconds,
            refused_share=_total(codes, REFUSED) / codes.total(),
            failed_share=_total(codes, FAILED) / codes.total(),
            percentiles=Percentiles.of(window, "grpc_server_handling_seconds", *method),
        )
        for method, codes in sorted(called.items(), key=lambda row: -row[1].total())
    ]


def _cache_share(window: Window, name: str) -> float | None:
    """Returns the share of lookups that needed no work."""
    lookups = {labels[0]: count for labels, count in window.increases(name).items()}
    return _share(lookups.get("hit", 0.0) + lookups.get("shared", 0.0), sum(lookups.values()))


def _share_within(window: Window, objective: float) -> float | None:
    """Returns the share of searches that took no longer than the objective, which is a bound of the histogram."""
    buckets = window.buckets("grpc_server_handling_seconds", *SEARCH)
    within = [count for bound, count in buckets if math.isclose(bound, objective)]
    return _share(within[0], buckets[-1][1]) if within else None


def _total(codes: Counter[str], wanted: frozenset[str]) -> int:
    return sum(codes[code] for code in wanted)


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def as_point(at: float, figures: Figures) -> dict[str, Any]:
    """Returns the figures that the charts show, by name; `at` is a Unix time."""
    search = figures.search
    return {
        "at": round(at),
        "calls_per_second": figures.calls_per_second,
        "refused_per_second": figures.refused_per_second,
        "failed_per_second": figures.failed_per_second,
        "p50_seconds": search.p50_seconds,
        "p95_seconds": search.p95_seconds,
        "p99_seconds": search.p99_seconds,
        **{f"{each.stage}_seconds": each.mean_seconds for each in figures.stages},
        "queue_texts": figures.queue_texts,
        "predicted_wait_seconds": figures.predicted_wait_seconds,
        "event_loop_lag_seconds": figures.event_loop_lag_seconds,
        "batch_texts": figures.batch_texts,
        "cache_share": figures.cache_share,
        "cpu_cores": figures.cpu_cores,
    }
