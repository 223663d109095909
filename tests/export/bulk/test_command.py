"""Bad input of `python -m export encode`: one line each, before Ray is started."""

import contextlib
import resource
import socket
import sys
from pathlib import Path

import pytest

from server.catalogue.database import DATABASE, locked
from server.catalogue.location import text_of
from tests.export.bulk.making import rows, write_jsonl, write_parquet
from tests.export.command_line import assert_one_line, export
from tests.postgresql import Cluster, make_newer


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    return write_jsonl(tmp_path / "c.jsonl", rows(3))


def test_files_that_cannot_be_read_are_named(tiny_bundle: Path, tmp_path: Path) -> None:
    missing = tmp_path / "no.jsonl"
    wrong = write_jsonl(tmp_path / "wrong.jsonl", [*rows(2), {"id": "x"}])
    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes(b"PAR1")
    empty, folder = write_jsonl(tmp_path / "empty.jsonl", []), tmp_path / "folder"
    folder.mkdir()
    twice = write_parquet(tmp_path / "twice.parquet", rows(1))
    for files, message in (
        ([missing], "no.jsonl cannot be read: No such file or directory"),
        ([wrong], "wrong.jsonl:3: there is nothing to search: give it a title, a text or an example"),
        ([damaged], "damaged.parquet is not a Parquet file, or is damaged: write it again"),
        ([empty], "empty.jsonl has no documents"),
        ([folder], "folder has no files whose names end with .jsonl or .parquet"),
        ([twice, twice], "twice.parquet, row 1: id 'document 0' is already in"),
    ):
        assert_one_line(export("encode", "--bundle", tiny_bundle, "--data", tmp_path, "--catalogue", *files), message)


def test_a_directory_that_is_no_bundle_is_named(catalogue: Path, tmp_path: Path) -> None:
    run = export("encode", "--bundle", tmp_path, "--data", tmp_path / "data", "--catalogue", catalogue)
    assert_one_line(run, "is not a bundle: it has no manifest.json")
    assert not (tmp_path / "data").exists()


def test_a_store_that_cannot_be_written_is_named(tiny_bundle: Path, catalogue: Path, tmp_path: Path) -> None:
    flags = ("encode", "--bundle", tiny_bundle, "--catalogue", catalogue, "--data")
    assert_one_line(export(*flags, catalogue), "cannot be used for --data: it is a file, not a directory")
    with locked(tmp_path / "data"):
        assert_one_line(export(*flags, tmp_path / "data"), "another server uses")
    (tmp_path / "data" / DATABASE).write_bytes(b"not a database " * 100)
    assert_one_line(export(*flags, tmp_path / "data"), "is damaged")
    assert_one_line(export(*flags, "mysql://host/name"), "--data: expected a directory, or postgresql://", code=2)


def test_a_disk_that_is_full_from_the_start_is_named(tiny_bundle: Path, catalogue: Path, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))
    try:
        run = export("encode", "--bundle", tiny_bundle, "--catalogue", catalogue, "--data", tmp_path / "data")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert_one_line(run, "is full or fails")


def test_a_database_that_cannot_be_written_is_named(tiny_bundle: Path, catalogue: Path, cluster: Cluster) -> None:
    flags = ("encode", "--bundle", tiny_bundle, "--catalogue", catalogue, "--data")
    assert_one_line(export(*flags, "postgresql://nobody@127.0.0.1:1/none"), "does not answer")  # codespell:ignore
    empty = cluster.new_database(migrated=False)
    assert_one_line(export(*flags, text_of(empty)), "has no tables of Chaja yet: run python -m server migrate")
    read_only = cluster.new_database()
    name = read_only.name.rpartition("/")[2]
    cluster.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    assert_one_line(export(*flags, text_of(read_only)), "is read-only")
    newer = cluster.new_database()
    make_newer(newer)
    assert_one_line(export(*flags, text_of(newer)), "newer version of Chaja")


def test_a_ray_cluster_that_does_not_answer_is_named(tiny_bundle: Path, catalogue: Path, tmp_path: Path) -> None:
    flags = ("encode", "--bundle", tiny_bundle, "--catalogue", catalogue, "--data", tmp_path / "data", "--address")
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]
        for address in (f"127.0.0.1:{port}", "127.0.0.1:1"):
            assert_one_line(export(*flags, address), f"no Ray cluster answers at {address}: name its head")
    assert_one_line(export(*flags, "ray://head"), "expected host:port", code=2)
    assert not (tmp_path / "data").exists()


def test_the_environment_may_name_the_store(
    tiny_bundle: Path, catalogue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAJA_DATA", str(catalogue))
    run = export("encode", "--bundle", tiny_bundle, "--catalogue", catalogue)
    assert_one_line(run, "c.jsonl cannot be used for --data: it is a file, not a directory")


@pytest.mark.parametrize("name", ["ray", "pyarrow"])
def test_without_ray_the_command_says_what_to_install(
    name: str, tiny_bundle: Path, catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)  # As if it was not installed.
    run = export("encode", "--bundle", tiny_bundle, "--catalogue", catalogue, "--data", tmp_path / "data")
    assert_one_line(run, "bulk encoding needs Ray: pip install 'ray[data]>=2.60,<3'")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "the following arguments are required: --bundle, --catalogue, --data"),
        (("--bundle", "b", "--catalogue", "c", "--data", "d", "--encode-workers", "-1"), "expected a whole number"),
        (("--bundle", "b", "--data", "d", "--catalogue"), "--catalogue: expected at least one argument"),
    ],
)
def test_wrong_flags_are_one_line(flags: tuple[str, ...], message: str) -> None:
    assert_one_line(export("encode", *flags), message, code=2)
