"""`python -m export bootstrap` with the default model: it finds faults that were put into the sample's catalogue."""

import json
from pathlib import Path

import pytest

from tests.conftest import SAMPLE_CATALOGUE
from tests.export.command_line import export

COPY = {
    "id": "lost-card-2",
    "title": {"ko": "카드 분실신고하기"},
    "text": {"ko": "카드를 잃어버렸거나 도난당했을 때 24시간 언제든지 신고하세요. 신고하신 카드는 정지돼요."},
    "examples": ["카드 잃어버림"],
}
CODE = {"id": "SVC-0099", "title": "SVC-0099", "text": "내부 점검용 화면이에요.", "examples": ["점검"]}


@pytest.mark.slow
def test_faults_of_a_catalogue_are_found_and_little_else(default_bundle: Path, tmp_path: Path) -> None:
    catalogue, report = tmp_path / "c.jsonl", tmp_path / "findings.json"
    lines = SAMPLE_CATALOGUE.read_text(encoding="utf-8").splitlines()
    catalogue.write_text("\n".join([*lines, *map(json.dumps, (COPY, CODE))]), encoding="utf-8")
    run = export("bootstrap", "check", "--bundle", default_bundle, "--catalogue", catalogue, "--json", report)
    assert run.returncode == 0, run.stderr
    findings = json.loads(report.read_text(encoding="utf-8"))["findings"]
    by_check = {
        check: [each["documents"] for each in findings if each["check"] == check]
        for check in ("near duplicate", "title")
    }
    assert by_check == {"near duplicate": [["report-lost-card", "lost-card-2"]], "title": [["SVC-0099"]]}
    assert len(findings) < 8


@pytest.mark.slow
def test_made_queries_of_every_kind_pass_the_round_trip(default_bundle: Path, tmp_path: Path) -> None:
    catalogue, out = tmp_path / "c.jsonl", tmp_path / "synthetic.jsonl"
    lines = SAMPLE_CATALOGUE.read_text(encoding="utf-8").splitlines()[:60]
    catalogue.write_text("\n".join(lines), encoding="utf-8")
    run = export("bootstrap", "queries", "--bundle", default_bundle, "--catalogue", catalogue, "--out", out)
    assert run.returncode == 0, run.stderr
    kept = {row.split()[0]: int(row.split()[2].replace(",", "")) for row in run.stdout.splitlines()[1:]}
    made = {row.split()[0]: int(row.split()[1].replace(",", "")) for row in run.stdout.splitlines()[1:]}
    assert all(kept.values())
    assert kept["title"] > 0.9 * made["title"]
    assert kept["phrase"] < made["phrase"]
