"""The load tester against Chaja's server."""

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadtest.analysis.summary import summarize
from loadtest.errors import ExitCode
from loadtest.plan import Plan
from loadtest.reference import get_reference_answers
from loadtest.requests.labels import read_labels
from loadtest.requests.queries import read_queries
from loadtest.schedule import constant
from loadtest.trial import trial
from sample.server_process import ServerProcess
from tests.conftest import SAMPLE_CATALOGUE, SAMPLE_QUERIES
from tests.loadtest.integration.attacks import SUCCESSFUL, make_plan, records_of, run_attack, run_command


def sample_plan(server: ServerProcess, *, size: int = 1, **options: Any) -> Plan:
    plan = make_plan(server.address, **{"queries": tuple(read_queries(SAMPLE_QUERIES)), **options})
    return replace(plan, calls=tuple(replace(call, queries_per_call=size) for call in plan.calls))


def test_answers_that_differ_from_the_reference_answers_are_counted(tiny_server: ServerProcess, tmp_path: Path) -> None:
    plan = sample_plan(tiny_server, in_flight=4, count=352)
    reference = asyncio.run(get_reference_answers(plan))
    swapped = {**reference, (0, (7,)): reference[0, (8,)]}
    run_attack(tmp_path / "results.bin", replace(plan, reference_answers=swapped))
    quality = summarize([tmp_path / "results.bin"]).quality
    assert (quality.compared, quality.different, quality.different_queries) == (352, 1, [7])


@pytest.mark.parametrize(
    ("method", "size"),
    [("Search", 1), ("BatchSearch", 3), ("SearchStream", 3), ("Encode", 3), ("Suggest", 1), ("GetServerInfo", 1)],
)
def test_no_answer_of_a_correct_server_differs(
    tiny_server: ServerProcess, tmp_path: Path, method: str, size: int
) -> None:
    plan = sample_plan(tiny_server, method=method, size=size, in_flight=4, count=12)
    reference = asyncio.run(get_reference_answers(plan))
    assert len(reference) == 12
    run_attack(tmp_path / "right.bin", replace(plan, reference_answers=reference))
    quality = summarize([tmp_path / "right.bin"]).quality
    assert (quality.compared, quality.different) == (12, 0)
    run_attack(
        tmp_path / "wrong.bin", replace(plan, reference_answers={**reference, next(iter(reference)): b"another"})
    )
    assert summarize([tmp_path / "wrong.bin"]).quality.different >= 1


@pytest.mark.parametrize("method", ["BatchSearch", "SearchStream"])
def test_quality_and_stages_of_several_queries_in_a_call_are_those_of_single_ones(
    tiny_server: ServerProcess, tmp_path: Path, method: str
) -> None:
    labels = read_labels(SAMPLE_QUERIES)
    run_attack(tmp_path / "one.bin", sample_plan(tiny_server, in_flight=2, count=20, labels=labels))
    several = sample_plan(tiny_server, method=method, size=4, in_flight=2, count=5, labels=labels)
    records = run_attack(tmp_path / "several.bin", several)
    one, four = (summarize([tmp_path / f"{name}.bin"]).quality for name in ("one", "several"))
    assert four.labelled == 5
    assert (four.recall, four.ndcg) == pytest.approx((one.recall, one.ndcg))
    assert (records["queue_seconds"] >= 0).all()


def test_suggestions_have_a_quality_and_vectors_have_none(tiny_server: ServerProcess, tmp_path: Path) -> None:
    queries = tmp_path / "typed.jsonl"
    first = json.loads(SAMPLE_CATALOGUE.read_text().splitlines()[0])
    queries.write_text(json.dumps({"query": first["title"]["ko"][:4], "relevant": [first["id"]]}))
    flags = ["--queries", str(queries), "--qrels", str(queries), "--in-flight", "1", "--count", "3", "--warm-up", "0s"]
    out = tmp_path / "results.bin"
    run = run_command("attack", tiny_server.address, "--call", "Suggest", *flags, "--out", str(out))
    assert run.returncode in SUCCESSFUL, run.stderr
    assert summarize([out]).quality.recall == 1
    run = run_command("attack", tiny_server.address, "--call", "Encode", *flags, "--out", str(out))
    assert run.returncode == ExitCode.USAGE
    assert run.stderr == "loadtest: error: --qrels needs answers that name documents, and those of Encode do not\n"


def test_quality_is_measured_under_load(tiny_server: ServerProcess, tmp_path: Path) -> None:
    plan = sample_plan(tiny_server, in_flight=4, count=352, labels=read_labels(SAMPLE_QUERIES))
    run_attack(tmp_path / "right.bin", plan)
    right = summarize([tmp_path / "right.bin"]).quality
    assert right.labelled == 352
    assert 0.01 < right.recall < 0.99
    assert 0 < right.ndcg < right.recall
    unmatched = {query: {"no-such-document": 1} for query in plan.labels}
    run_attack(tmp_path / "wrong.bin", replace(plan, labels=unmatched))
    assert summarize([tmp_path / "wrong.bin"]).quality.recall == 0


def test_the_report_has_the_servers_stages_and_the_clients_time(tiny_server: ServerProcess, tmp_path: Path) -> None:
    records = run_attack(tmp_path / "results.bin", sample_plan(tiny_server, in_flight=2, count=300))
    stages = sum(records[f"{stage}_seconds"] for stage in ("tokenize", "queue", "encode", "search", "fetch"))
    assert ((stages > 0) & (stages <= (records["done_ns"] - records["sent_ns"]) / 1e9)).all()
    total = summarize([tmp_path / "results.bin"]).total
    assert total.beyond_server.mean + total.server.mean == pytest.approx(total.ok.service.mean, rel=0.01)


def test_only_queries_that_repeat_are_answered_from_the_cache(tiny_server: ServerProcess, tmp_path: Path) -> None:
    repeating = sample_plan(tiny_server, in_flight=2, count=800)
    shares = []
    for name, plan in {"repeating": repeating, "unique": replace(repeating, unique_from=999_700)}.items():
        run_attack(tmp_path / f"{name}.bin", plan)
        shares.append(summarize([tmp_path / f"{name}.bin"]).total.cached_share)
    assert shares[0] >= 0.5
    assert shares[1] == 0


def test_trials_of_slo_repeat_no_unique_query(tiny_server: ServerProcess, tmp_path: Path) -> None:
    plan = sample_plan(tiny_server, schedule=constant(100), seconds=1, unique_from=0)
    for repeat in range(2):
        tried = trial(plan, 100, [], tmp_path / f"{repeat}.bin", windows=2, window_seconds=0.5)
        assert tried.summary.total.ok.count > 0
        assert tried.summary.total.cached_share < 0.05, "a few numbers may be those of the trial before"


@pytest.mark.parametrize("method", ["Search", "BatchSearch", "Encode", "GetServerInfo"])
def test_every_method_of_the_protocol_can_be_called(tiny_server: ServerProcess, tmp_path: Path, method: str) -> None:
    records = run_attack(tmp_path / "results.bin", sample_plan(tiny_server, method=method, in_flight=2, count=20))
    assert (records["code"] == 0).all()
    assert np.isnan(records["encode_seconds"]).all() == (method == "GetServerInfo")


def test_a_mix_keeps_its_weights(tiny_server: ServerProcess, tmp_path: Path) -> None:
    mix = tmp_path / "mix.jsonl"
    lines = [{"call": "Search", "weight": 3}, {"call": "BatchSearch", "queries_per_call": 5}]
    mix.write_text("\n".join(json.dumps(line) for line in lines))
    out = tmp_path / "results.bin"
    run = run_command(
        "attack", tiny_server.address, "--mix", str(mix), "--queries", str(SAMPLE_QUERIES), "--in-flight", "4",
        "--count", "800", "--warm-up", "0s", "--out", str(out),
    )  # fmt: skip
    assert run.returncode in SUCCESSFUL, run.stderr
    records = records_of(out)
    assert np.bincount(records["call"]).tolist() == pytest.approx([600, 200], rel=0.15)
    assert "chaja.v1.SearchService/BatchSearch" in run.stdout


def test_metrics_are_scraped_and_a_missed_assertion_is_the_exit_code(
    tiny_server: ServerProcess, tmp_path: Path
) -> None:
    out = tmp_path / "results.bin"
    run = run_command(
        "attack", tiny_server.address, "--queries", str(SAMPLE_QUERIES), "--rate", "100", "--duration", "2500ms",
        "--warm-up", "0s", "--late-after", "200ms", "--metrics-url", f"{tiny_server.metrics_url}", "--out", str(out),
        "--assert", "p50<5s", "--assert", "p99<1us",
    )  # fmt: skip
    assert run.returncode == ExitCode.ASSERTION, run.stdout
    assert re.search(r"p99<1us +NOT MET", run.stdout)
    scrapes = summarize([out]).runs[0].metrics
    assert len(scrapes) >= 3
    labels = 'grpc_code="OK",grpc_method="Search",grpc_service="chaja.v1.SearchService",grpc_type="unary"'
    name = f"grpc_server_handled_total{{{labels}}}"
    assert scrapes[-1]["samples"][name] > scrapes[0]["samples"][name]
    assert "chaja_queue_texts" in scrapes[0]["samples"]


@pytest.mark.alone
@pytest.mark.slow
def test_the_search_for_the_highest_rate_ends_at_the_maximum(tiny_server: ServerProcess, tmp_path: Path) -> None:
    run = run_command(
        "slo", tiny_server.address, "--queries", str(SAMPLE_QUERIES), "--objective", "p50<500ms", "--objective",
        "errors<1%", "--start-rate", "50", "--max-rate", "100", "--window", "1s", "--repeats", "1", "--warm-up", "0s",
        "--out", str(tmp_path / "slo"),
    )  # fmt: skip
    assert run.returncode == ExitCode.OK, run.stdout + run.stderr
    found = json.loads((tmp_path / "slo/slo.json").read_text())
    assert (found["highest_rate"], found["failing_rate"]) == (100, None)
    assert found["confirmed"]["met"] >= 2
    assert "100 requests a second meet the objectives; no higher rate was tried" in run.stdout
    assert "<html" in (tmp_path / "slo/slo.html").read_text()
