import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.simulation.__main__ import main
from benchmarks.simulation.fan_out import Disturbances
from benchmarks.simulation.plan import Assumptions, plan, replicas_for

SHARD: dict[str, Any] = {
    "vectors": 1000,
    "memory_bytes": 2**30,
    "append_seconds": 10.0,
    "build_seconds": 5.0,
    "snapshot_bytes": 200_000_000,
    "restore_seconds": 2.0,
    "modes": {"HYBRID": {"cpu_milliseconds": [1.0, 2.0, 3.0]}},
}


def run(monkeypatch: pytest.MonkeyPatch, *flags: str) -> int:
    monkeypatch.setattr("sys.argv", ["simulation", *flags])
    return main()


def written(folder: Path, text: str) -> str:
    (folder / "shards.json").write_text(text, encoding="utf-8")
    return str(folder / "shards.json")


def test_a_plan_has_the_shards_replicas_cost_and_recovery_of_its_assumptions() -> None:
    assumed = Assumptions(
        rate=100,
        cores=2,
        utilisation=0.5,
        writes_per_second=10,
        snapshot_age_seconds=100,
        network_mb_per_second=100,
        core_hour_price=1,
        gib_hour_price=0.5,
        memory_factor=2,
    )
    made = plan(9_500, SHARD, mean_seconds=0.02, disturbances=Disturbances(), assumed=assumed)
    assert (made.shards, made.replicas, made.cores) == (10, 3, 60)  # Two carry 2 busy cores; one more may be lost.
    assert made.memory_gib == 60
    assert made.month_usd == pytest.approx(730 * (60 + 30))
    assert made.snapshot_recovery_seconds == pytest.approx(2 + 2 + 1)
    assert made.log_recovery_seconds == pytest.approx(10 + 5)


def test_more_shards_need_more_replicas_for_the_same_availability() -> None:
    assert [replicas_for(shards, each=0.99, whole=0.999) for shards in (1, 10, 1000)] == [2, 2, 3]
    assert replicas_for(1, each=0.999, whole=0.9) == 1


def test_the_command_prints_the_assumptions_and_the_same_figures_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, json.dumps({"shards": [SHARD]}))
    flags = ["--shards", file, "--vectors", "5000", "20000", "--queries", "200", "--core-hour-price", "0.125"]
    printed = [(run(monkeypatch, *flags), capsys.readouterr().out) for _ in range(2)]
    assert printed[0] == printed[1]
    assert printed[0][0] == 0
    assert "core_hour_price 0.125" in printed[0][1]
    assert "5e+03 | 5 ×" in printed[0][1]
    assert "2e+04 | 20 ×" in printed[0][1]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"shards": 3}', '{"shards": [3]}', "\0"])
def test_a_file_of_something_else_is_one_line(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="is no file of make bench-shard"):
        run(monkeypatch, "--shards", written(tmp_path, text))


def test_a_size_that_was_not_measured_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, json.dumps({"shards": [SHARD]}))
    with pytest.raises(SystemExit, match="has no shard of 7 vectors; it has: 1000"):
        run(monkeypatch, "--shards", file, "--shard-vectors", "7")
    with pytest.raises(SystemExit, match="make it with make bench-shard"):
        run(monkeypatch, "--shards", str(tmp_path / "missing.json"))


@pytest.mark.parametrize(
    "flag",
    [
        "--rate=0",
        "--utilisation=0",
        "--seed=-1",
        "--rate=nan",
        "--cores=0",
        "--available=1",
        "--queries=x",
        "--vectors=-1",
    ],
)
def test_a_wrong_flag_is_refused(flag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, flag)
    assert ended.value.code == 2
