"""The packages of the wheel, without the native encoder: make server-wheel-check tests the whole wheel."""

import re
from pathlib import Path

import pytest

from deploy.wheel.sources import SERVER_WHEEL, write_packages
from sample.server_process import REPOSITORY
from tests.deploy.wheel.packages import run, strings

LIBRARIES_OF_THE_EXTRA = ("torch", "transformers", "optimum", "sentence_transformers", "onnx")

IMPORT_ALL = """
import importlib, pkgutil, sys
import chaja_server
for module in pkgutil.walk_packages(chaja_server.__path__, "chaja_server."):
    if module.name != "chaja_server.__main__":
        importlib.import_module(module.name)
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the packages of the wheel."""
    directory = tmp_path_factory.mktemp("packages")
    write_packages(REPOSITORY, directory, SERVER_WHEEL)
    return directory


def test_the_packages_have_names_of_their_own(packages: Path) -> None:
    assert {path.name for path in packages.iterdir()} == {"chaja_server", "chaja_export"}


def test_every_module_of_the_server_can_be_imported(packages: Path) -> None:
    imported = run(packages, "-c", IMPORT_ALL)
    assert imported.returncode == 0, imported.stderr
    unwanted = {*SERVER_WHEEL.packages, *LIBRARIES_OF_THE_EXTRA} & set(imported.stdout.split())
    assert not unwanted


@pytest.mark.parametrize(("module", "program"), [("chaja_server", "chaja-server"), ("chaja_export", "chaja-export")])
def test_help_names_the_command_of_the_wheel(packages: Path, module: str, program: str) -> None:
    shown = run(packages, "-m", module, "--help").stdout
    assert shown.startswith(f"usage: {program} ")
    assert "python -m" not in shown


def test_an_error_names_the_command_of_the_wheel(packages: Path) -> None:
    failed = run(packages, "-m", "chaja_server", "--bundle", "nothing", "--data", "data")
    assert "chaja-server: error: nothing is not a bundle" in failed.stderr
    assert "make one with chaja-export" in failed.stderr


def test_no_string_names_a_program_as_the_checkout_runs_it(packages: Path) -> None:
    found = [
        (path, text) for path, text in strings(packages) if re.search(r"python -m (server|export)\b|make native", text)
    ]
    assert [path for path, _ in found if path.name != "programs.py"] == []


def test_no_string_names_a_module_of_the_checkout(packages: Path) -> None:
    """`__package__` or `__name__` names modules instead: renaming changes import statements only."""

    def names_a_module(text: str) -> bool:
        path = REPOSITORY / text.replace(".", "/").replace("chaja/", "protos/chaja/")
        is_name = re.fullmatch(r"(server|export|chaja)(\.\w+)+", text) is not None
        return is_name and (path.is_dir() or path.with_suffix(".py").is_file())

    assert [(path, text) for path, text in strings(packages) if names_a_module(text)] == []


def test_the_exporter_has_the_sample_that_it_measures_with(packages: Path) -> None:
    counted = "from chaja_export.quality.corpus import sample_corpus as s; print(len(s().documents), len(s().queries))"
    documents, queries = run(packages, "-c", counted).stdout.split()
    assert int(documents) > 100
    assert int(queries) > 100


def test_the_sources_of_the_native_encoder_travel_unchanged(packages: Path) -> None:
    """The loader compares their digest with that of the compiled library."""
    checkout = REPOSITORY / "server/encoding/native"
    copied = {path.name: path.read_bytes() for path in (packages / "chaja_server/encoding/native").glob("*.[ch]")}
    assert copied == {path.name: path.read_bytes() for path in checkout.glob("*.[ch]")}
