import re
from collections.abc import Iterable
from functools import partial

import grpc
import prometheus_client
import pytest

from server.metrics import CODES, REFUSALS, Method, Metrics
from server.ranking.found import Effect
from server.readings.reading import Kind
from server.rpc.errors import REASONS
from server.rpc.server import METHODS
from server.stages import STAGES

RESULTS: dict[str, Iterable[str]] = {
    "chaja_cache_lookups_total": ("hit", "miss", "shared"),
    "chaja_hit_cache_lookups_total": ("hit", "miss"),
    "chaja_searches_total": ("hits", "no_hits", "no_good_answer"),
    "chaja_reloads_total": ("ok", "failed"),
    "chaja_index_rebuilds_total": ("ok", "failed"),
    "chaja_graph_builds_total": ("ok", "failed"),
    "chaja_backups_total": ("ok", "failed"),
    "chaja_feedback_events_total": ("stored", "known", "refused"),
    "chaja_learn_runs_total": ("learnt", "unchanged", "refused", "failed"),
}
SERIES = [
    *[f'chaja_stage_seconds_count{{stage="{stage}"}} 0.0' for stage in STAGES],
    *[f'{name}{{result="{result}"}} 0.0' for name, results in RESULTS.items() for result in results],
    *[f'chaja_searches_interpreted_total{{interpretation="{kind}"}} 0.0' for kind in Kind],
    *[f'chaja_hits_moved_total{{effect="{effect.value}"}} 0.0' for effect in Effect],
    *[f'chaja_refused_total{{reason="{reason}"}} 0.0' for reason in REFUSALS],
    *[f'chaja_call_errors_total{{reason="{reason}"}} 0.0' for reason in REASONS],
    *[f'chaja_stream_queries_total{{grpc_code="{code}"}} 0.0' for code in CODES],
    *[f'chaja_worker_busy_seconds_total{{worker="{worker}"}} 0.0' for worker in range(2)],
    *[f'chaja_index_vectors{{part="{part}"}} 0.0' for part in ("graph", "exact", "dead")],
    *[f'chaja_index_recall{{query="{query}"}} 1.0' for query in ("search", "document")],  # Every vector is compared.
    *[f"chaja_{name}_count 0.0" for name in ("batch_texts", "batch_tokens", "commit_seconds", "backup_seconds")],
    *[f"chaja_{name}_count 0.0" for name in ("event_loop_lag_seconds", "index_rebuild_seconds", "graph_build_seconds")],
    *[f"chaja_{name}_total 0.0" for name in ("dropped_texts", "changes", "commit_failures", "grpc_restarts")],
    "chaja_searches_expanded_total 0.0",
    *[f"chaja_{name}_total 0.0" for name in ("encode_cpu_seconds", "log_lines_dropped", "spans_dropped")],
    *[f"chaja_{name} 0.0" for name in ("queue_texts", "predicted_wait_seconds", "workers_alive", "cache_bytes")],
    *[f"chaja_catalogue_{name} 0.0" for name in ("documents", "vectors", "sequence")],
    *[f"chaja_{name} 0.0" for name in ("index_ef_search", "store_sequence", "change_lag_seconds", "data_free_bytes")],
    *[f"chaja_backup_{name} 0.0" for name in ("timestamp_seconds", "bytes", "interval_seconds")],
    *[f"chaja_{name}_timestamp_seconds 0.0" for name in ("snapshot", "certificate_expiry")],
    *[
        f'chaja_learn_recall{{mode="{mode}",when="{when}"}} 0.0'
        for mode in ("dense", "hybrid")
        for when in ("before", "after")
    ],
    *[f"chaja_{name} 0.0" for name in ("promotions", "learn_questions", "learn_timestamp_seconds")],
    "chaja_last_reload_failed 0.0",
    "chaja_workers 2.0",
    "chaja_latency_objective_seconds 0.1",
    "chaja_index_min_recall 0.98",
]


@pytest.fixture(scope="module")
def untouched() -> list[str]:
    metrics = Metrics(METHODS, reasons=REASONS, workers=2)
    return prometheus_client.generate_latest(metrics.registry).decode().splitlines()


@pytest.mark.parametrize("line", SERIES)
def test_every_series_exists_before_the_first_request(untouched: list[str], line: str) -> None:
    assert line in untouched


def test_every_metric_is_among_those_that_exist_before_the_first_request(untouched: list[str]) -> None:
    described = {line.split()[2] for line in untouched if line.startswith("# TYPE chaja_")}
    with_other_labels = {"chaja_build_info", "chaja_model_info", "chaja_response_bytes_total"}
    assert described - with_other_labels == {re.split(r"_count|[{ ]", line)[0] for line in SERIES}


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_every_series_of_a_method_exists_before_the_first_request(untouched: list[str], method: Method) -> None:
    labels = f'grpc_method="{method.name}",grpc_service="{method.service}"'
    assert f"chaja_response_bytes_total{{{labels}}} 0.0" in untouched
    labels = f'{labels},grpc_type="{method.kind}"'
    assert f"grpc_server_started_total{{{labels}}} 0.0" in untouched
    assert f"grpc_server_handling_seconds_count{{{labels}}} 0.0" in untouched
    for code in CODES:
        assert f'grpc_server_handled_total{{grpc_code="{code}",{labels}}} 0.0' in untouched


def test_each_reason_of_a_refusal_is_a_word() -> None:
    assert len(set(REFUSALS)) == len(REFUSALS) == 13
    assert all(reason.replace("_", "").isalpha() for reason in REFUSALS)


def test_streams_have_their_own_type() -> None:
    kinds = {method.name: method.kind for method in METHODS}
    assert {name for name, kind in kinds.items() if kind == "bidi_stream"} == {"SearchStream", "ImportDocuments"}
    assert {name for name, kind in kinds.items() if kind == "server_stream"} == {"WatchChanges"}
    assert set(kinds.values()) == {"bidi_stream", "server_stream", "unary"}


def test_only_the_served_model_is_described() -> None:
    metrics = Metrics()
    for revision in ("old", "new"):
        metrics.process.describe_model(name="tiny", revision=revision, quantization="none", encoder="native")
    text = prometheus_client.generate_latest(metrics.registry).decode()
    assert 'revision="new"' in text
    assert 'revision="old"' not in text


def test_codes_are_grpc_codes_in_go_spelling() -> None:
    names = sorted((code.value[0], code.name) for code in grpc.StatusCode)
    for (number, name), ours in zip(names, CODES, strict=True):
        assert ours.upper() == name.replace("_", "").replace("CANCELLED", "CANCELED"), number


def test_a_call_is_counted_with_its_code() -> None:
    metrics = Metrics([Method("s", "m", "unary")])
    call = metrics.calls.of_method["/s/m"]
    call.start()
    call.end(3, 0.02)
    labels = {"grpc_type": "unary", "grpc_service": "s", "grpc_method": "m"}
    value = metrics.registry.get_sample_value
    assert value("grpc_server_started_total", labels) == 1
    assert value("grpc_server_handled_total", labels | {"grpc_code": "InvalidArgument"}) == 1
    assert value("grpc_server_handled_total", labels | {"grpc_code": "OK"}) == 0
    assert value("grpc_server_handling_seconds_sum", labels) == 0.02


@pytest.mark.parametrize("objective", [0.1, 0.07, 0.3, 20.0])
def test_the_latency_objective_is_a_bucket_boundary(objective: float) -> None:
    metrics = Metrics([Method("s", "m", "unary")], latency_objective_seconds=objective)
    for seconds in (objective * 0.99, objective, objective * 1.01):
        metrics.calls.of_method["/s/m"].end(0, seconds)
    labels = {"grpc_type": "unary", "grpc_service": "s", "grpc_method": "m", "le": str(objective)}
    value = metrics.registry.get_sample_value
    assert value("grpc_server_handling_seconds_bucket", labels) == 2
    assert value("chaja_latency_objective_seconds") == objective


def test_the_first_of_several_certificates_that_expires_is_reported() -> None:
    metrics = Metrics()
    expiries = [300.0, 200.0]
    for number in range(2):
        metrics.process.watch_certificate(partial(expiries.__getitem__, number))
    assert metrics.registry.get_sample_value("chaja_certificate_expiry_timestamp_seconds") == 200
    expiries[1] = 400.0
    assert metrics.registry.get_sample_value("chaja_certificate_expiry_timestamp_seconds") == 300
