"""The packages of the wheel `chaja-loadtest`: make loadtest-wheel-check installs the whole wheel."""

from pathlib import Path

import pytest

from deploy.wheel.sources import LOADTEST_WHEEL, requirements, write_packages
from sample.server_process import REPOSITORY
from tests.deploy.wheel.packages import run, strings
from tests.loadtest.results_files import record, write_run

IMPORT_ALL = """
import importlib, pkgutil, sys
import chaja_loadtest
for module in pkgutil.walk_packages(chaja_loadtest.__path__, "chaja_loadtest."):
    importlib.import_module(module.name)
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the packages of the wheel."""
    directory = tmp_path_factory.mktemp("packages")
    write_packages(REPOSITORY, directory, LOADTEST_WHEEL)
    return directory


def test_every_module_can_be_imported_without_the_checkout(packages: Path) -> None:
    assert {path.name for path in packages.iterdir()} == {"chaja_loadtest"}
    imported = run(packages, "-c", IMPORT_ALL)
    assert imported.returncode == 0, imported.stderr
    assert not {*LOADTEST_WHEEL.packages, "server", "torch", "onnxruntime"} & set(imported.stdout.split())


@pytest.mark.parametrize("command", [[], ["attack"], ["report"], ["plot"], ["compare"], ["slo"]])
def test_help_names_the_command_of_the_wheel(packages: Path, command: list[str]) -> None:
    shown = run(packages, "-m", "chaja_loadtest", *command, "--help").stdout
    assert shown.startswith(f"usage: {' '.join(['chaja-loadtest', *command])} ")
    assert "python -m" not in shown


def test_results_and_errors_are_those_of_the_checkout(packages: Path, tmp_path: Path) -> None:
    results = write_run(tmp_path / "results.bin", [record(number / 50) for number in range(500)])
    report = run(packages, "-m", "chaja_loadtest", "report", str(results), "--format", "html")
    assert report.returncode == 0, report.stderr
    assert "<html" in report.stdout
    failed = run(packages, "-m", "chaja_loadtest", "report", "/dev/null")
    assert failed.stderr == "chaja-loadtest: error: /dev/null is not a results file of chaja-loadtest attack\n"


def test_no_string_names_the_program_or_a_module_as_in_the_checkout(packages: Path) -> None:
    """`__package__` names modules instead: renaming changes import statements only."""

    def is_of_the_checkout(text: str) -> bool:
        file = (REPOSITORY / text.replace(".", "/")).with_suffix(".py") if text.startswith("loadtest.") else None
        return "python -m loadtest" in text or (file is not None and file.is_file())

    assert [path.name for path, text in strings(packages) if is_of_the_checkout(text)] == ["programs.py"]


def test_the_wheel_requires_what_the_checkout_requires() -> None:
    required = requirements(REPOSITORY, group="loadtest")
    assert any(each.startswith("grpcio>=") for each in required)
    assert any(each.startswith("plotly>=") for each in required)
