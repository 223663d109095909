import re

import pytest

from sample.server_process import REPOSITORY
from server.commands import COMMANDS
from server.setting_rows import setting_rows
from tests.deploy.monitored import Monitored
from tests.deploy.rules import ALERTS
from tests.docs.documents import blocks_of, prose_of

RUNBOOK = REPOSITORY / "deploy/runbook.md"
TEXT = RUNBOOK.read_text(encoding="utf-8")
OTHER_FLAGS = {
    "--queries",
    "--unique",
    "--objective",
    "--only",
    "--model",
    "--eval",
    "--storage",
    "--pid",
    "--from",
    "--to",
}
"""Flags of the load tester, the benchmarks, py-spy, and the commands on a store."""

QUERIES = [line for block in blocks_of(RUNBOOK) if block.language == "promql" for line in block.text.splitlines()]


def sections() -> dict[str, str]:
    """Returns the text of each section of an alert, by its heading."""
    parts = re.split(r"^#{2,3} (.+)\n", TEXT, flags=re.MULTILINE)
    return {name: text for name, text in zip(parts[1::2], parts[2::2], strict=True) if name.startswith("Chaja")}


def test_every_alert_and_nothing_else_has_a_section() -> None:
    assert sorted(sections()) == sorted({alert.name for alert in ALERTS})


@pytest.mark.parametrize(("name", "text"), sections().items())
def test_a_section_says_what_callers_notice_and_what_to_look_at_first(name: str, text: str) -> None:
    assert text.lstrip().startswith("**For callers:** "), name
    assert "**First look:**" in text, name
    assert "```promql" in text, name


def test_every_flag_and_command_of_the_runbook_exists() -> None:
    known = {row.flag for row in setting_rows()} | OTHER_FLAGS
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", TEXT)) <= known
    for command in re.findall(r"chaja-server ([a-z][a-z-]+)", TEXT):
        assert command in COMMANDS


def test_every_log_line_of_the_runbook_is_one_of_the_server() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "server").rglob("*.py"))
    text = " ".join(line for _, line in prose_of(RUNBOOK))
    found = [
        line for lines in re.findall(r"[Ll]og lines? ((?:`[^`]+`(?:, )?)+)", text) for line in lines.split("`")[1::2]
    ]
    assert len(found) > 10
    assert [line for line in found if line not in sources] == []


def test_prometheus_answers_every_query_of_the_runbook(monitored: Monitored) -> None:
    assert len(QUERIES) > 20
    for query in QUERIES:
        monitored.prometheus.query(query)


def test_every_metric_of_the_runbook_exists(monitored: Monitored) -> None:
    names = set(re.findall(r"(?<![\w:.])(?:chaja|grpc_server|process)_\w+(?![\w.])|\b\w+:\w+:\w+", TEXT))
    assert len(names) > 20
    for name in sorted(names - {"chaja_server"}):
        monitored.prometheus.wait_for(name)
