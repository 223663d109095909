import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.__main__ import main
from loadtest.analysis.figures import DISTRIBUTIONS, FIGURES
from loadtest.commands.attack import add_parser
from loadtest.commands.options import command_line
from loadtest.commands.plan import make_plan
from loadtest.errors import ExitCode
from loadtest.requests.placeholders import FUNCTIONS
from loadtest.schedule import constant
from loadtest.target import Target
from sample.server_process import REPOSITORY
from tests.loadtest.integration.attacks import run_command
from tests.loadtest.results_files import record, vitals, write_run


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["loadtest", *map(str, arguments)])
    return main()


ATTACK = ["attack", "localhost:1"]
AT_5 = [*ATTACK, "--rate", "5"]
SEARCH = ["attack", "localhost:1", "--rate", "5", "--count", "1"]
ONE_CALL = [*AT_5, "--count", "1", "--call", "GetServerInfo"]
UNIQUE = [*AT_5, "--count", "5", "--unique", "--queries", "{tmp}/q.txt"]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    packed = [record(number / 50, 0.010 + number % 7 / 1000) for number in range(500)]
    return write_run(tmp_path / "run.bin", packed, reports=[vitals(seconds=10.0)])


@pytest.mark.parametrize("layout", ["text", "markdown", "json", "csv", "requests", "html", "junit", "openmetrics"])
def test_every_format_can_be_written_to_a_file(
    monkeypatch: pytest.MonkeyPatch, results: Path, tmp_path: Path, layout: str
) -> None:
    out = tmp_path / "deep" / "report"
    assert run(monkeypatch, "report", results, "--format", layout, "--out", out) == ExitCode.OK
    assert len(out.read_text(encoding="utf-8")) > 200


@pytest.mark.parametrize("source", ["-", "/dev/stdin"])
@pytest.mark.parametrize("layout", ["text", "requests"])
def test_a_report_is_read_from_a_pipe(results: Path, source: str, layout: str) -> None:
    command = [sys.executable, "-m", "loadtest", "report", source, "--format", layout]
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'protos'}"}
    shown = subprocess.run(
        command, cwd=REPOSITORY, input=results.read_bytes(), env=environment, capture_output=True, check=True
    ).stdout.decode()
    if layout == "requests":
        assert len(shown.splitlines()) == 501
    else:
        assert "p99" in shown


@pytest.mark.parametrize(("flag", "said"), [("--data", "@-"), ("--data-file", "-")])
def test_a_payload_is_read_from_a_pipe(flag: str, said: str) -> None:
    command = [sys.executable, "-m", "loadtest", *SEARCH, flag, said]
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'protos'}"}
    shown = subprocess.run(
        command, cwd=REPOSITORY, input=b'{"nope": 1}', env=environment, capture_output=True, check=False
    ).stderr.decode()
    assert "chaja.v1.SearchRequest has no field nope" in shown


def test_plot_writes_a_page_and_compare_prints_a_table(
    monkeypatch: pytest.MonkeyPatch, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "plot", results, results, "--out", tmp_path / "plot.html") == ExitCode.OK
    assert "<html" in (tmp_path / "plot.html").read_text(encoding="utf-8")
    assert run(monkeypatch, "compare", results, results) == ExitCode.OK
    shown = capsys.readouterr().out
    assert "latency p99" in shown
    assert "within noise" in shown
    assert "NOT CONCLUSIVE" in shown


def test_a_regression_beyond_noise_exits_with_99(
    monkeypatch: pytest.MonkeyPatch, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def repeats(name: str, level: float) -> Path:
        (tmp_path / name).mkdir()
        for repeat in range(3):
            packed = [record(number / 50, level + (number % 7 + repeat / 10) / 1000) for number in range(500)]
            write_run(tmp_path / name / f"{repeat}.bin", packed, reports=[vitals(seconds=10.0)])
        return tmp_path / name

    faster, slower = repeats("faster", 0.010), repeats("slower", 0.015)
    assert run(monkeypatch, "compare", results, results, "--max-regression", "5%") == ExitCode.USAGE
    assert "needs at least 3 repeats" in capsys.readouterr().err
    assert run(monkeypatch, "compare", faster, slower) == ExitCode.OK
    assert run(monkeypatch, "compare", faster, slower, "--max-regression", "60%") == ExitCode.OK
    assert run(monkeypatch, "compare", faster, slower, "--max-regression", "5%") == ExitCode.ASSERTION
    assert "regression: latency p50 is worse by" in capsys.readouterr().out
    assert run(monkeypatch, "compare", slower, faster, "--max-regression", "5%") == ExitCode.OK
    capsys.readouterr()
    as_json = ("--max-regression", "5%", "--format", "json")
    assert run(monkeypatch, "compare", faster, slower, *as_json) == ExitCode.ASSERTION
    assert "latency p50" in json.loads(capsys.readouterr().out)["regressions"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["report", "{tmp}/none.bin"], "none.bin cannot be read: No such file"),
        (["report", "{tmp}"], "garbage.bin is not a results file"),
        (["plot", "{tmp}/folder"], "there are no results files"),
        (["attack"], "arguments are required: HOST:PORT; see python -m loadtest attack --help"),
        (["attck"], "invalid choice: 'attck'"),
        (
            ["attack", "localhost:1", "--rate", "10k"],
            "--rate: '10k' is not a number; see",
        ),
        (["attack", "localhost:1", "--count", "1.5"], "--count: '1.5' is not a whole number"),
        (["attack", "localhost:1", "--duration", "1m30"], "'1m30' is not a duration; write, for example,"),
        (
            ["attack", "localhost:1", "--max-inflight", "5"],
            "--max-inflight (did you mean --max-in-flight?)",
        ),
        (["attack", "localhost:1", "--insecure"], "unknown flag --insecure; see"),
        (["attack", "localhost:1", "localhost:2"], "unknown argument localhost:2; see"),
        (["report", "{tmp}/run.bin", "{tmp}/folder/../run.bin"], "run.bin is named twice, and would count twice"),
        (["report", "{tmp}/garbage.bin"], "garbage.bin is not a results file"),
        (["report", "{tmp}/run.bin", "--out", "{tmp}"], "cannot be written"),
        (["plot", "{tmp}/run.bin", "--out", "/proc/none/x"], "cannot be written"),
        (["compare", "{tmp}/run.bin", "{tmp}/none.bin"], "none.bin cannot be read"),
        (["compare", "{tmp}/run.bin", "{tmp}/folder"], "there are no results files"),
        (["report", "{tmp}/run.bin", "--out", "{tmp}/run.bin"], "is a results file and is not overwritten"),
        (["report", "{tmp}/run.bin", "--out", "/dev/full"], "cannot be written: No space left"),
        ([*ONE_CALL, "--assert", "recall>0.1"], "'recall>0.1' needs --qrels"),
        ([*ONE_CALL, "--assert", "different<1%"], "'different<1%' needs --check-answers"),
        ([*AT_5, "--rate-to", "9"], "--rate-to needs --schedule ramp or step"),
        (["slo", "localhost:1"], "give at least one --objective"),
        (["slo", "localhost:1", "--objective", "p99<5ms", "--out", "{tmp}/run.bin"], "run.bin is not a folder"),
        (["slo", "localhost:1", "--objective", "p99<5ms", "--windows", "1"], "--windows must be at least 2"),
        (ATTACK, "give --rate"),
        ([*AT_5, "--in-flight", "5"], "give one of them"),
        ([*AT_5, "--duration", "1s"], "Search needs --queries"),
        (
            [*AT_5, "--call", "GetServerInfo"],
            "(--duration) or a count (--count)",
        ),
        ([*AT_5, "--call", "chaja.v1.X/Y"], "there is no method chaja.v1.X/Y; there"),
        ([*AT_5, "--data-file", "{tmp}/broken.jsonl"], "broken.jsonl:2: not JSON"),
        ([*AT_5, "--schedule", "ramp"], "a ramp needs --rate-to and --duration"),
        ([*ATTACK, "--schedule", "replay"], "a replay needs --timestamps"),
        ([*ATTACK, "--profile", "100"], "'100' is not a rate with a duration; write, for example, 10-100:1m"),
        ([*ATTACK, "--profile", "1:5s,"], "'' is not a rate with a duration"),
        ([*ATTACK, "--profile", "0:5s,0-0:5s"], "a profile (--profile) needs a rate above 0"),
        ([*ATTACK, "--profile", "5:0s"], "above 0"),
        ([*ATTACK, "--profile", "5:5s", "--rate", "5"], "remove --rate, --rate-to and --duration"),
        ([*ATTACK, "--profile", "5:5s", "--duration", "5s"], "remove --rate, --rate-to and --duration"),
        ([*ATTACK, "--profile", "5:5s", "--in-flight", "5"], "remove --schedule, --rate-to and"),
        ([*ATTACK, "--profile", "5:5s", "--schedule", "step"], "a profile replaces --schedule step"),
        ([*ONE_CALL, "--out", "/dev/null"], "--out /dev/null is no file: the report is made from the results"),
        ([*ONE_CALL, "--check", "nope > 1"], "--check 'nope > 1': undeclared reference to 'nope'; the answer has"),
        ([*ONE_CALL, "--check", "size(server_version)"], "its value is not true or false"),
        ([*ONE_CALL, "--assert", "failed_checks<1%"], "'failed_checks<1%' needs --check"),
        ([*ONE_CALL, "--assert", "failed_parts<1%"], "'failed_parts<1%' needs answers with a field for errors"),
        (["attack", "localhost:1", "--rate", "5", "--mix", "{tmp}/stage.json"], "'search' is a figure of objectives"),
        ([*ONE_CALL, "--assert", "Search.p99<5ms"], "no call is named Search; the calls are chaja.v1.InfoService/"),
        ([*ONE_CALL, "--data", '{"a": "{{nope}}"}'], "there is nothing for the placeholder {{nope}}"),
        ([*ONE_CALL, "--data", "@{tmp}/none.json"], "none.json cannot be read"),
        ([*SEARCH, "--out", "-"], "--out - is not a file"),
        ([*SEARCH, "--data-file", "{tmp}/payloads.jsonl"], "payloads.jsonl, row 2: the payload does not fit"),
        ([*SEARCH, "--queries", "{tmp}/rows.jsonl", "--data", '{"limit": "{{n}}"}'], "rows.jsonl, row 2: there is"),
        ([*SEARCH, "--queries", "{tmp}/rows.jsonl", "--data", '{"a": "{{query}}"}'], "error: the payload does not"),
        ([*AT_5, "--mix", "{tmp}/broken.jsonl"], "broken.jsonl:2: not JSON"),
        ([*AT_5, "--mix", "{tmp}/mix.json"], "expected an object with call"),
        ([*AT_5, "--mix", "{tmp}/twins.json"], "have the same name"),
        ([*AT_5, "--mix", "{tmp}/badly.json"], "is not a name of a call"),
        ([*AT_5, "--duration", "0s", "--call", "GetServerInfo"], "above 0"),
        *(
            ([*ATTACK, "--rate", rate, "--duration", "1s"], f"requests a second, not {shown}")
            for rate, shown in (("1e9", "1e+09"), ("1e-9", "1e-09"), ("nan", "nan"), ("inf", "inf"), ("-5", "-5"))
        ),
        (
            [*ATTACK, "--schedule", "ramp", "--rate", "5", "--rate-to", "1e9", "--duration", "1s"],
            "not 1e",
        ),
        (["slo", "localhost:1", "--objective", "p99<5ms", "--start-rate", "1e9"], "requests a second, not 1e+09"),
        (["slo", "localhost:1", "--objective", "p99<5ms", "--max-rate", "nan"], "--max-rate must be at least"),
        ([*AT_5, "--duration", "1s", "--unique"], "give --queries"),
        (
            [*UNIQUE, "--data", "{}"],
            "--unique changes {{query}}, which the payload of Search does not have",
        ),
        (
            [*UNIQUE, "--check-answers"],
            "--check-answers compares answers to queries that repeat: remove --unique",
        ),
        (["report", "/dev/zero"], "/dev/zero is not a results file"),
        ([*ATTACK, "--in-flight", "0", "--count", "1", "--call", "GetServerInfo"], "closed loop"),
    ],
)
def test_errors_are_one_line(
    monkeypatch: pytest.MonkeyPatch, results: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    tmp_path = results.parent
    (tmp_path / "garbage.bin").write_bytes(b"garbage" * 100)
    (tmp_path / "broken.jsonl").write_text('{"id": "a"}\n{"id": \n')
    (tmp_path / "folder").mkdir()
    (tmp_path / "q.txt").write_text("a query\n")
    (tmp_path / "rows.jsonl").write_text('{"query": "a", "n": 1}\n{"query": "b"}\n')
    (tmp_path / "payloads.jsonl").write_text('{"query": "a"}\n{"query": "b", "limit": "x"}\n')
    (tmp_path / "mix.json").write_text('[{"call": "GetServerInfo", "weight": 1' + "0" * 400 + "}]")
    (tmp_path / "twins.json").write_text('[{"call": "Search", "name": "a"}, {"call": "Encode", "name": "a"}]')
    (tmp_path / "badly.json").write_text('[{"call": "Search", "name": "a.b"}]')
    (tmp_path / "stage.json").write_text('[{"call": "Search", "name": "search"}]')
    assert run(monkeypatch, *(argument.replace("{tmp}", str(tmp_path)) for argument in arguments)) == ExitCode.USAGE
    shown = capsys.readouterr().err
    assert says in shown
    assert len(shown.splitlines()) == 1


def test_the_target_has_the_values_of_its_flags() -> None:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    flags = ["--call", "GetServerInfo", "--ca", "ca.pem", "--cert", "c.pem", "--key", "k.pem", "--authority", "x.test"]
    options = parser.parse_args(["attack", "x:1", *flags, "--header", "x-a: 1", "--token", "t", "--connections", "2"])
    assert make_plan(options, schedule=constant(1), count=1).target == Target(
        address="x:1",
        ca_file=Path("ca.pem"),
        certificate_file=Path("c.pem"),
        key_file=Path("k.pem"),
        authority="x.test",
        headers=(("x-a", "1"),),
        token="t",
        connections=2,
    )


def test_a_file_cut_short_is_reported_as_partial(
    monkeypatch: pytest.MonkeyPatch, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = results.read_bytes()
    results.write_bytes(whole[: len(whole) * 2 // 3])
    assert run(monkeypatch, "report", results) == ExitCode.OK
    assert "PARTIAL: the results file was cut short" in capsys.readouterr().out
    assert run(monkeypatch, "report", results, "--assert", "p50<5s") == ExitCode.FAILED
    assert run(monkeypatch, "report", results, "--assert", "p50<1us") == ExitCode.ASSERTION


@pytest.mark.parametrize(("second", "code"), [("rate>10", ExitCode.OK), ("p99<1us", ExitCode.ASSERTION)])
def test_assertions_decide_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, results: Path, second: str, code: ExitCode
) -> None:
    assert run(monkeypatch, "report", results, "--assert", "p50<5s", "--assert", second) == code


def test_secrets_of_the_command_line_are_hidden() -> None:
    shown = command_line(["attack", "x:1", "--token", "s3cret", "--header", "a:s3cret", "--token=s3cret"])
    assert "s3cret" not in shown
    assert shown.endswith("attack x:1 --token '***' --header '***' '--token=***'")


def test_a_path_that_is_no_text_is_written(results: Path) -> None:
    path = results.rename(results.parent / os.fsdecode(b"a\xff.bin"))
    for layout in ("text", "json", "markdown"):
        reported = run_command("report", str(path), "--format", layout)
        assert reported.returncode == ExitCode.OK, reported.stderr
        assert r"a\udcff.bin" in reported.stdout
    assert command_line(["report", str(path)]).endswith("a?.bin'")


def test_help_names_every_placeholder_and_figure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("attack", "slo"):
        with pytest.raises(SystemExit):
            run(monkeypatch, command, "--help")
        shown = " ".join(capsys.readouterr().out.split())
        assert all(f"{{{{{each.usage}}}}}" in shown for each in FUNCTIONS.values())
        assert all(name in shown for name in (*FIGURES, *(f"{name}.p99" for name in DISTRIBUTIONS if name)))


def test_a_folder_stands_for_its_results_files(
    monkeypatch: pytest.MonkeyPatch, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(results.parent / "other.bin", [record(number / 50) for number in range(500)], started=2000.0)
    assert run(monkeypatch, "report", results.parent, "--format", "json") == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["requests"]["planned"] == 1000
    page = results.parent / "plot.html"
    assert run(monkeypatch, "plot", results.parent, results, "--out", page) == ExitCode.OK
    row = re.search(rf'<th scope="row">{re.escape(str(results.parent))}</th>', page.read_text(encoding="utf-8"))
    assert row is not None


@pytest.mark.parametrize(
    ("assertion", "tolerated", "code"),
    [
        ("p50<5s", [], ExitCode.SATURATED),
        ("p50<5s", ["late"], ExitCode.OK),
        ("p50<5s", ["missed-when-late"], ExitCode.SATURATED),
        ("p50<1us", [], ExitCode.ASSERTION),
        ("p50<1us", ["late"], ExitCode.ASSERTION),
        ("p50<1us", ["missed-when-late"], ExitCode.SATURATED),
        ("p50<1us", ["late", "missed-when-late"], ExitCode.OK),
    ],
)
def test_a_shared_machine_tolerates_a_late_generator_in_two_ways(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, assertion: str, tolerated: list[str], code: ExitCode
) -> None:
    late = [vitals(seconds=10.0, elapsed_seconds=10.0, loop_waited_seconds=4.0)]
    path = write_run(tmp_path / "late.bin", [record(number / 50, 0.010) for number in range(500)], reports=late)
    flags = [part for each in tolerated for part in ("--tolerate", each)]
    assert run(monkeypatch, "report", path, "--assert", assertion, *flags) == code


@pytest.mark.parametrize("tolerated", ["late", "missed-when-late"])
def test_a_missed_objective_of_a_punctual_generator_is_never_tolerated(
    monkeypatch: pytest.MonkeyPatch, results: Path, tolerated: str
) -> None:
    assert run(monkeypatch, "report", results, "--assert", "p50<1us", "--tolerate", tolerated) == ExitCode.ASSERTION


def test_no_success_is_a_failure_even_if_the_generator_was_late(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    late = [vitals(seconds=10.0, elapsed_seconds=10.0, loop_waited_seconds=4.0)]
    packed = [record(number / 50, 0.010, code="UNAVAILABLE") for number in range(500)]
    path = write_run(tmp_path / "late.bin", packed, reports=late)
    assert run(monkeypatch, "report", path, "--tolerate", "late") == ExitCode.FAILED


@pytest.mark.parametrize(("failed", "code"), [(200, ExitCode.OK), (300, ExitCode.ASSERTION)])
def test_a_late_generator_excuses_no_server_that_fails_most_requests(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, failed: int, code: ExitCode
) -> None:
    late = [vitals(seconds=10.0, elapsed_seconds=10.0, loop_waited_seconds=4.0)]
    packed = [record(number / 50, code="UNAVAILABLE" if number < failed else "OK") for number in range(500)]
    path = write_run(tmp_path / "late.bin", packed, reports=late)
    flags = ("--assert", "errors<1%", "--tolerate", "late", "--tolerate", "missed-when-late")
    assert run(monkeypatch, "report", path, *flags) == code
    assert run(monkeypatch, "report", path, *flags, "--format", "junit", "--out", tmp_path / "junit.xml") == code
    kind = "failure" if code else "skipped"
    assert f'<{kind} message="errors&lt;1% was not met' in (tmp_path / "junit.xml").read_text()


def test_the_last_line_says_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def last(path: Path, *flags: str) -> str:
        run(monkeypatch, "report", path, *flags)
        return capsys.readouterr().out.strip().splitlines()[-1]

    packed = [record(number / 50, 0.010, code="INTERNAL" if number % 10 else "OK") for number in range(500)]
    failing = write_run(tmp_path / "failing.bin", packed, reports=[vitals(seconds=10.0)])
    most = "MOST REQUESTS FAILED: 90.0% of 500 did not succeed, most often INTERNAL (450)."
    assert last(failing) == most
    assert last(failing, "--format", "markdown") == f"**{most}**"
    assert last(failing, "--assert", "errors<1%") == f"{most} NOT MET: errors<1% (90.000%)."
    assert last(results, "--assert", "p50<1us").startswith("NOT MET: p50<1us (")
    assert "NOT MET" not in last(results, "--assert", "p50<5s")
    assert "FAILED" not in last(results)


@pytest.mark.parametrize(
    ("redirection", "code", "says"),
    [(">/dev/full", ExitCode.USAGE, "No space left on device"), (">&-", ExitCode.OK, ""), ("2>&-", ExitCode.OK, "")],
)
def test_output_that_cannot_be_written_is_one_line(results: Path, redirection: str, code: ExitCode, says: str) -> None:
    command = f"exec {sys.executable} -m loadtest report {results} {redirection}"
    ended = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == code, ended.stderr
    assert says in ended.stderr
    assert ended.stderr.count("\n") == (1 if says else 0), ended.stderr
