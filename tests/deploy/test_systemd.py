import os
import re
import shutil
import subprocess
from configparser import ConfigParser

import pytest

from sample.server_process import REPOSITORY
from server.command_line import parse_settings
from server.setting_rows import setting_rows

SYSTEMD = REPOSITORY / "deploy/systemd"
UNIT = SYSTEMD / "chaja.service"
MOST_EXPOSURE = 2.0
"""Of 10, by `systemd-analyze security`."""


def unit() -> ConfigParser:
    parser = ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(UNIT.read_text(encoding="utf-8"))
    return parser


def settings_of_the_unit() -> dict[str, str]:
    text = (SYSTEMD / "server.env").read_text(encoding="utf-8") + unit()["Service"]["Environment"]
    return dict(re.findall(r"^(CHAJA_\w+)=(\S+)$", text, re.MULTILINE))


def analyze(*arguments: str) -> str:
    """Runs systemd-analyze, which needs no running systemd. Skips the test without it."""
    program = shutil.which("systemd-analyze")
    if program is None:
        assert not os.environ.get("CI"), "systemd-analyze is missing: make systemd"
        pytest.skip("systemd-analyze is missing: make systemd")
    run = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)
    return run.stdout + run.stderr


def test_the_unit_is_hardened() -> None:
    report = analyze("security", "--offline=true", "--no-pager", str(UNIT))
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", report)
    assert exposure is not None, report
    assert float(exposure[1]) <= MOST_EXPOSURE


def test_systemd_accepts_the_unit() -> None:
    complaints = [line for line in analyze("verify", "--man=no", str(UNIT)).splitlines() if UNIT.name in line]
    assert [line for line in complaints if "chaja-server is not executable" not in line] == []


def test_the_settings_exist_and_the_server_accepts_them() -> None:
    environment = settings_of_the_unit()
    assert set(environment) <= {row.variable for row in setting_rows()}
    assert parse_settings([], environment).data is not None


def test_systemd_waits_for_the_drain() -> None:
    settings = parse_settings([], settings_of_the_unit())
    assert int(unit()["Service"]["TimeoutStopSec"]) >= settings.drain_wait_seconds + settings.drain_seconds + 10


def test_the_unit_leaves_the_list_of_cpu_features_readable() -> None:
    assert "ProcSubset" not in unit()["Service"], "the native encoder reads /proc/cpuinfo"
