import grpc
import prometheus_client

from server.metrics import CODES, REFUSALS, Method, Metrics
from server.rpc.server import METHODS
from server.stages import STAGES


def test_all_series_exist_before_the_first_request() -> None:
    text = prometheus_client.generate_latest(Metrics(METHODS).registry).decode()
    for service, method, kind in METHODS:
        labels = f'grpc_method="{method}",grpc_service="{service}",grpc_type="{kind}"'
        assert f"grpc_server_started_total{{{labels}}} 0.0" in text
        assert f"grpc_server_handling_seconds_count{{{labels}}} 0.0" in text
        for code in CODES:
            assert f'grpc_server_handled_total{{grpc_code="{code}",{labels}}} 0.0' in text
    for stage in STAGES:
        assert f'chaja_stage_seconds_count{{stage="{stage}"}} 0.0' in text
    assert "chaja_batch_texts_count 0.0" in text
    assert "chaja_batch_tokens_count 0.0" in text
    for result in ("hit", "miss", "shared"):
        assert f'chaja_cache_lookups_total{{result="{result}"}} 0.0' in text
    for result in ("ok", "failed"):
        assert f'chaja_reloads_total{{result="{result}"}} 0.0' in text
    for reason in REFUSALS:
        assert f'chaja_refused_total{{reason="{reason}"}} 0.0' in text
    for name in ("chaja_queue_texts", "chaja_dropped_texts_total", "chaja_cache_bytes"):
        assert f"{name} 0.0" in text
    for name in ("catalogue_documents", "catalogue_vectors", "catalogue_sequence", "changes_total"):
        assert f"chaja_{name} 0.0" in text
    assert 'chaja_index_recall{query="document"} 1.0' in text, "every vector is compared"
    assert "chaja_index_ef_search 0.0" in text
    assert "chaja_commit_seconds_count 0.0" in text
    assert "chaja_build_info{" in text


def test_each_reason_of_a_refusal_is_a_word() -> None:
    assert len(set(REFUSALS)) == len(REFUSALS) == 11
    assert all(reason.replace("_", "").isalpha() for reason in REFUSALS)


def test_streams_have_their_own_type() -> None:
    kinds = {method.name: method.kind for method in METHODS}
    assert {name for name, kind in kinds.items() if kind == "bidi_stream"} == {"SearchStream", "ImportDocuments"}
    assert {name for name, kind in kinds.items() if kind == "server_stream"} == {"WatchChanges"}
    assert set(kinds.values()) == {"bidi_stream", "server_stream", "unary"}


def test_only_the_served_model_is_described() -> None:
    metrics = Metrics([])
    for revision in ("old", "new"):
        metrics.describe_model(name="tiny", revision=revision, quantization="none", encoder="native")
    text = prometheus_client.generate_latest(metrics.registry).decode()
    assert 'revision="new"' in text
    assert 'revision="old"' not in text


def test_codes_are_grpc_codes_in_go_spelling() -> None:
    names = sorted((code.value[0], code.name) for code in grpc.StatusCode)
    for (number, name), ours in zip(names, CODES, strict=True):
        assert ours.upper() == name.replace("_", "").replace("CANCELLED", "CANCELED"), number


def test_a_call_is_counted_with_its_code() -> None:
    metrics = Metrics([Method("s", "m", "unary")])
    call = metrics.calls["/s/m"]
    call.start()
    call.end(3, 0.02)
    labels = {"grpc_type": "unary", "grpc_service": "s", "grpc_method": "m"}
    value = metrics.registry.get_sample_value
    assert value("grpc_server_started_total", labels) == 1
    assert value("grpc_server_handled_total", labels | {"grpc_code": "InvalidArgument"}) == 1
    assert value("grpc_server_handled_total", labels | {"grpc_code": "OK"}) == 0
    assert value("grpc_server_handling_seconds_sum", labels) == 0.02
