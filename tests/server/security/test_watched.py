import os
from pathlib import Path

from server.security.watched import WatchedFiles


def test_unchanged_files_are_not_reported(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a", encoding="utf-8")
    watched = WatchedFiles([tmp_path / "a", tmp_path / "not there", tmp_path])
    assert not watched.changed()
    (tmp_path / "a").read_text(encoding="utf-8")
    assert not watched.changed()


def test_a_replaced_file_of_the_same_size_and_time_is_detected(tmp_path: Path) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    path.write_text("a", encoding="utf-8")
    other.write_text("b", encoding="utf-8")
    for each in (path, other):
        os.utime(each, ns=(1, 1))
    watched = WatchedFiles([path])
    other.replace(path)
    assert watched.changed()


def test_a_file_that_disappears_and_returns_changes_twice(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("a", encoding="utf-8")
    watched = WatchedFiles([path])
    path.unlink()
    assert watched.changed()
    assert watched.missing() == [path]
    path.write_text("a", encoding="utf-8")
    assert watched.changed()
    assert not watched.missing()


def test_a_directory_changes_with_any_file_in_it(tmp_path: Path) -> None:
    inside = tmp_path / "bundle/query/model"
    inside.parent.mkdir(parents=True)
    inside.write_text("a", encoding="utf-8")
    watched = WatchedFiles([tmp_path / "bundle"])
    inside.write_text("b" * 10, encoding="utf-8")
    assert watched.changed()
    os.utime(inside, ns=(1, 1))
    assert watched.changed()
    (inside.parent / "another").touch()
    assert watched.changed()
    assert not watched.changed()


def test_a_changed_link_is_detected(tmp_path: Path) -> None:
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "key").write_text("same", encoding="utf-8")
        os.utime(tmp_path / version / "key", ns=(1, 1))
    (tmp_path / "..data").symlink_to("v1")
    (tmp_path / "key").symlink_to("..data/key")
    watched = WatchedFiles([tmp_path / "key"])
    (tmp_path / "new").symlink_to("v2")
    (tmp_path / "new").replace(tmp_path / "..data")
    assert watched.changed()
