import errno
from pathlib import Path

import pytest

from server.files import new_file


@pytest.fixture
def without_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that has no hard links, such as exFAT or many network file systems."""

    def unsupported(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", unsupported)


@pytest.mark.usefixtures("without_links")
def test_a_new_file_needs_no_hard_links_and_replaces_nothing(tmp_path: Path) -> None:
    with new_file(tmp_path / "made") as unfinished:
        unfinished.write_text("whole")
    assert (tmp_path / "made").read_text() == "whole"

    def write_again() -> None:
        with new_file(tmp_path / "second") as unfinished:
            unfinished.write_text("other")
            (tmp_path / "second").write_text("first")

    with pytest.raises(FileExistsError):
        write_again()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"made": "whole", "second": "first"}
