import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sample.server_process import REPOSITORY
from server.catalogue.store import Store
from server.closed_pipe import CLOSED_PIPE
from tests.conftest import SAMPLE_CATALOGUE, SAMPLE_QUERIES
from tests.loadtest.results_files import record, vitals, write_run
from tests.server.catalogue.stores import put

COMMANDS = {
    "version of the server": ("server", "--version"),
    "export-catalogue": ("server", "export-catalogue", "--data", "{store}"),
    "check": ("server", "check", "--data", "{store}"),
    "backup": ("server", "backup", "--data", "{store}"),
    "evaluate": ("export", "evaluate", "--bundle", "{bundle}", "--catalogue", "{catalogue}", "--queries", "{queries}"),
    "report": ("loadtest", "report", "{results}"),
    "compare": ("loadtest", "compare", "{results}", "{results}"),
}


@pytest.fixture
def files(tmp_path: Path, tiny_bundle: Path) -> dict[str, Path]:
    """A store of more documents than a pipe holds, a bundle and a file of results."""
    (tmp_path / "store").mkdir()
    with contextlib.closing(Store(tmp_path / "store", durable=False)) as store:
        put(store, *(str(number) for number in range(50)), title="x" * 4000)
    records = [record(number / 50, 0.010) for number in range(500)]
    results = write_run(tmp_path / "run.bin", records, reports=[vitals(seconds=10.0)])
    sample = {"catalogue": SAMPLE_CATALOGUE, "queries": SAMPLE_QUERIES}
    return {"store": tmp_path / "store", "bundle": tiny_bundle, "results": results, **sample}


def run_into(stdout: int, command: tuple[str, ...], files: dict[str, Path]) -> tuple[int, str]:
    """Runs a command; returns its exit code and what it printed on stderr."""
    arguments = [sys.executable, "-m", *(each.format(**files) for each in command)]
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY / 'protos'}"}
    run = subprocess.run(
        arguments, stdout=stdout, stderr=subprocess.PIPE, cwd=REPOSITORY, env=environment, timeout=60, check=False
    )
    return run.returncode, run.stderr.decode()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_whose_reader_has_gone_ends_without_a_message(command: str, files: dict[str, Path]) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        code, printed = run_into(write, COMMANDS[command], files)
    finally:
        os.close(write)
    assert code == CLOSED_PIPE, printed
    assert not [line for line in printed.splitlines() if "pipe" in line.lower() or "Traceback" in line]


def test_an_export_to_a_full_disk_is_one_line(files: dict[str, Path]) -> None:
    with Path("/dev/full").open("wb") as full:
        code, printed = run_into(full.fileno(), COMMANDS["export-catalogue"], files)
    assert code == 1
    assert printed.splitlines() == ["server: error: standard output cannot be written: No space left on device"]


WRITER = """
import os, sys
from server.closed_pipe import until_closed_pipe

def main():
    with open(sys.argv[1], "w") as file:
        os.write(2, b"a message of a library in C")
        print("a message of the program", file=sys.stderr, flush=True)
        print("a row")
        return file.fileno()

sys.exit(until_closed_pipe(main))
"""


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_a_file_never_gets_the_descriptor_of_a_closed_stream(closed: str, tmp_path: Path) -> None:
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-c", WRITER, str(tmp_path / "file")]
    run = subprocess.run(command, capture_output=True, cwd=REPOSITORY, timeout=60, check=False)
    assert run.returncode > 2, run.stderr
    assert (tmp_path / "file").read_bytes() == b""
    assert run.stdout == (b"" if "1" in closed else b"a row\n")
