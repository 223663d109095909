import json
from pathlib import Path

import pytest

from loadtest.analysis.summary import summarize
from loadtest.reports.json import json_report
from loadtest.stages import STAGES
from server.rpc.server import SERVICES
from tests.loadtest.results_files import record, write_run
from tools.doc_tables import CLIENTS, DOCUMENTS, LOADTEST, with_tables


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_generated_tables_are_up_to_date(document: Path) -> None:
    assert with_tables(document) == document.read_text(encoding="utf-8"), "run make docs"


def test_every_key_of_the_json_report_is_documented(tmp_path: Path) -> None:
    stages = (0.001, 0.001, 0.001, 0.001, 0.001)
    records = [record(1, 0.01, stages=stages, batch_texts=1, quality=(1.0, 1.0), same=1)]
    report = json.loads(json_report(summarize([write_run(tmp_path / "results.bin", records)]), []))
    text = LOADTEST.read_text(encoding="utf-8")
    free = {"environment", "plan", "outcomes", "codes", "samples", "vitals", *STAGES}

    def check(value: object, where: str) -> None:
        if isinstance(value, list):
            for each in value:
                check(each, where)
        elif isinstance(value, dict):
            for key, each in value.items():
                assert f"`{key}`" in text, f"{where}.{key} is not in docs/loadtest-reference.md"
                if key not in free:
                    check(each, f"{where}.{key}")

    check(report, "report")


def test_every_method_is_documented() -> None:
    text = CLIENTS.read_text(encoding="utf-8")
    for service in SERVICES:
        assert f"`{service.full_name}`" in text
        for method in service.methods:
            assert f"| `{method.name}` |" in text
