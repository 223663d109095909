"""`python -m export encode` on Ray: against a server's import, with lost workers, stops and restarts."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from subprocess import CompletedProcess

import msgspec
import pytest

from sample.server_process import REPOSITORY, running_server
from server.catalogue.document import Document
from server.catalogue.location import Location, text_of
from server.catalogue.store import Store
from server.encoding.bundle import Bundle
from server.encoding.documents import encode_documents
from tests.conftest import server_flags
from tests.export.bulk.making import rows, write_jsonl, write_parquet
from tests.integration.serving import wait_until
from tests.ports import free_ports
from tests.ray_workers import kill_encoder, processes_of
from tests.tiny_bundle import make_bundle

RUN_SECONDS = 200

CLUSTER_DOCUMENTS = 20_000
"""So many that a cluster which takes seconds to end has not encoded them before."""

STOPPED_DOCUMENTS = 2000
"""So many that a run has not written all of them when it is stopped, also on an idle machine."""

Content = dict[int, tuple[Document, bytes, bytes]]
"""The live documents of a store by sequence, with the spans and the matrix of their vectors."""


@pytest.fixture(params=["sqlite", "postgresql"])
def new_location(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Location]:
    """Makes empty places for stores."""
    if request.param == "sqlite":
        return lambda: tmp_path_factory.mktemp("data")
    return request.getfixturevalue("cluster").new_database  # type: ignore[no-any-return]


def command_of(bundle: Path, data: Location, *catalogue: Path, more: Sequence[str] = ()) -> list[str]:
    flags = ["--bundle", str(bundle), "--data", text_of(data), "--catalogue", *map(str, catalogue)]
    return [sys.executable, "-m", "export", "encode", *flags, "--encode-workers", "2", *more]


def encode(bundle: Path, data: Location, *catalogue: Path, more: Sequence[str] = ()) -> CompletedProcess[str]:
    command = command_of(bundle, data, *catalogue, more=more)
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=RUN_SECONDS, check=False)


@contextlib.contextmanager
def encoding(
    bundle: Path, data: Location, *catalogue: Path, more: Sequence[str] = ()
) -> Iterator[subprocess.Popen[str]]:
    """Starts a run, and ends it if the test fails; its processes are a group of their own."""
    process = subprocess.Popen(
        command_of(bundle, data, *catalogue, more=more),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_until_written(data: Location, count: int) -> None:
    until = time.monotonic() + RUN_SECONDS
    while True:
        with contextlib.closing(Store(data, serving=False)) as store:
            if len(store) >= count:
                return
        assert time.monotonic() < until
        time.sleep(0.05)


def content_of_store(data: Location, revision: str) -> Content:
    found: Content = {}
    with contextlib.closing(Store(data, serving=False)) as store:
        store.verify()
        for each in store.after(0, revision):
            assert each.vectors is not None, each.document.id
            found[each.sequence] = (each.document, each.vectors.spans.tobytes(), each.vectors.matrix.tobytes())
        assert len(found) == len(store)
    return found


def expected(made: Sequence[Document], bundle: Path) -> list[tuple[Document, bytes, bytes]]:
    """Returns the content of a store that has got the documents in their order."""
    encoded = encode_documents(made, Bundle(bundle))
    return [
        (document, vectors.spans.tobytes(), vectors.matrix.tobytes())
        for document, vectors in zip(made, encoded, strict=True)
    ]


def revision_of(bundle: Path) -> str:
    return Bundle(bundle).manifest.revision


def figures_of(run: CompletedProcess[str]) -> dict[str, int]:
    return {
        name: int(value.replace(",", ""))
        for line in report_lines(run)
        for name, value in [(line[:21].strip(), line[21:].strip())]
        if value.replace(",", "").isdigit()
    }


def report_lines(run: CompletedProcess[str]) -> list[str]:
    """Returns the lines of the report of a run that has succeeded without any other output."""
    assert run.returncode == 0, run.stderr
    assert all(line.startswith("[") for line in run.stderr.splitlines()), run.stderr
    return run.stdout.splitlines()


@pytest.mark.slow
def test_a_run_writes_what_a_server_imports(
    new_location: Callable[[], Location], tiny_bundle: Path, tmp_path: Path
) -> None:
    imported, data = new_location(), new_location()
    made = rows(900)
    documents = [msgspec.convert(row, Document) for row in made]
    whole = write_jsonl(tmp_path / "whole.jsonl", made)
    with running_server(server_flags(tiny_bundle, whole, "--data", text_of(imported))):
        pass
    folder = tmp_path / "folder"
    folder.mkdir()
    write_jsonl(folder / "a.jsonl", made[:500])
    write_parquet(folder / "b.parquet", made[500:850])
    last = write_jsonl(tmp_path / "last.jsonl", made[850:])
    run = encode(tiny_bundle, data, folder, last)
    assert figures_of(run) == {
        "documents": 900,
        "written": 900,
        "only vectors written": 0,
        "left out": 0,
        "unchanged": 0,
        "vectors written": sum(len(spans) // 12 for _, spans, _ in expected(documents, tiny_bundle)),
    }
    assert content_of_store(data, revision_of(tiny_bundle)) == content_of_store(imported, revision_of(tiny_bundle))

    again = encode(tiny_bundle, data, folder, last)
    assert (figures_of(again)["unchanged"], figures_of(again)["vectors written"]) == (900, 0)
    assert "Ray" not in again.stderr, "nothing is started"

    before = content_of_store(data, revision_of(tiny_bundle))
    new = make_bundle(tmp_path / "new", seed=8)
    write_jsonl(last, [row | {"title": f"changed {row['id']}"} for row in made[850:]])
    rolled_out = figures_of(encode(new, data, folder, last))
    assert (rolled_out["written"], rolled_out["only vectors written"]) == (50, 850)
    after = content_of_store(data, revision_of(new))
    assert {sequence for sequence in before if sequence <= 850} == {sequence for sequence in after if sequence <= 850}
    assert min(set(after) - set(before)) == 901


@pytest.mark.slow
def test_a_stop_and_a_killed_worker_change_nothing(
    new_location: Callable[[], Location], default_bundle: Path, tmp_path: Path
) -> None:
    data = new_location()
    made = rows(STOPPED_DOCUMENTS)
    documents = [msgspec.convert(row, Document) for row in made]
    catalogue = write_jsonl(tmp_path / "c.jsonl", made)
    with encoding(default_bundle, data, catalogue) as process:
        wait_until_written(data, 256)
        os.killpg(process.pid, signal.SIGINT)  # As a terminal does.
        out, error = process.communicate(timeout=RUN_SECONDS)
    assert process.returncode == 130, error
    (line,) = [line for line in error.splitlines() if not line.startswith("[")]
    assert line.startswith("export: stopped; ")
    assert line.endswith(" documents were written; the same command continues with the others")
    assert out == ""
    stopped_at = int(line.split()[2].replace(",", ""))
    assert 256 <= stopped_at < STOPPED_DOCUMENTS
    assert len(content_of_store(data, revision_of(default_bundle))) == stopped_at

    with encoding(default_bundle, data, catalogue) as process:
        wait_until_written(data, stopped_at + 256)
        kill_encoder(process.pid)
        out, error = process.communicate(timeout=RUN_SECONDS)
    figures = figures_of(CompletedProcess(process.args, process.returncode, out, error))
    assert (figures["written"], figures["unchanged"]) == (STOPPED_DOCUMENTS - stopped_at, stopped_at)
    # Sequences may jump: this test has opened the database during the run.
    found = content_of_store(data, revision_of(default_bundle))
    assert list(found.values()) == expected(documents, default_bundle)


@pytest.mark.slow
def test_a_stop_while_ray_starts_is_one_line(tiny_bundle: Path, tmp_path: Path) -> None:
    """Ray has then replaced the handler of SIGTERM with one that ends the process without a message."""
    catalogue = write_jsonl(tmp_path / "c.jsonl", rows(3))
    with encoding(tiny_bundle, tmp_path / "data", catalogue) as process:
        wait_until(lambda: processes_of(process.pid, "gcs_server"), seconds=RUN_SECONDS)
        process.terminate()
        out, error = process.communicate(timeout=RUN_SECONDS)
    assert process.returncode == 130, error
    lines = [line for line in error.splitlines() if not line.startswith("[")]
    assert lines == ["export: stopped; 0 documents were written; the same command continues with the others"]
    assert out == ""


@contextlib.contextmanager
def ray_cluster(folder: Path) -> Iterator[str]:
    """Runs a Ray cluster of one machine with two cores; yields its address."""
    (port,) = free_ports(1)
    head = ["start", "--head", "--block", "--num-cpus", "2", "--port", str(port), "--temp-dir", str(folder)]
    command = [str(Path(sys.executable).with_name("ray")), *head, "--include-dashboard", "false"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if "--block" in line:  # The last line before it waits.
                break
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()  # It ends the processes of the cluster.
        process.communicate(timeout=RUN_SECONDS)


@pytest.mark.slow
def test_a_cluster_encodes_and_its_loss_is_one_line(
    tiny_bundle: Path, default_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    catalogue = write_jsonl(tmp_path / "c.jsonl", rows(CLUSTER_DOCUMENTS))
    few = write_jsonl(tmp_path / "few.jsonl", rows(10))
    (tmp_path / "data").mkdir()
    with tempfile.TemporaryDirectory(prefix="ray-") as folder, contextlib.ExitStack() as stack:
        address = stack.enter_context(ray_cluster(Path(folder)))
        run = encode(tiny_bundle, tmp_path / "few", few, more=["--address", address])
        assert figures_of(run)["written"] == 10
        with encoding(default_bundle, tmp_path / "data", catalogue, more=["--address", address]) as process:
            wait_until_written(tmp_path / "data", 256)
            stack.close()
            out, error = process.communicate(timeout=RUN_SECONDS)
    assert process.returncode != 0
    assert out == ""
    (line,) = [line for line in error.splitlines() if not line.startswith("[")]
    assert line.startswith("export: error: ")
    assert line.endswith("the same command continues with the others")
    assert 256 <= len(content_of_store(tmp_path / "data", revision_of(default_bundle))) < CLUSTER_DOCUMENTS
