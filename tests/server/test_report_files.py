"""Tests that a report replaces an older one as a whole, and nothing else."""

import errno
import stat
from pathlib import Path

import pytest

from server.errors import ReportError
from server.report_files import check_report, write_report


def test_a_report_replaces_an_older_one_and_no_other_file(tmp_path: Path) -> None:
    report, other = tmp_path / "report.json", tmp_path / "report.json.unfinished"
    report.write_text("older")
    other.write_text("of the user")
    write_report(report, "카드\n")
    assert {path: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == {
        report: "카드\n",
        other: "of the user",
    }
    (tmp_path / "usual").touch()
    assert stat.S_IMODE(report.stat().st_mode) == stat.S_IMODE((tmp_path / "usual").stat().st_mode)


def test_an_older_report_stays_if_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    report = tmp_path / "report.json"
    report.write_text("older")
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ReportError, match=r"report.json cannot be written: No space left on device; choose another"):
        write_report(report, "new")
    assert {path: path.read_text() for path in tmp_path.iterdir()} == {report: "older"}


def test_a_path_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    check_report(None, tmp_path / "report.json")
    for path in (tmp_path, Path("/dev/null"), tmp_path / "missing" / "report.json"):
        with pytest.raises(ReportError, match="cannot be written: name a file in a directory that exists"):
            check_report(None, path)
    assert not list(tmp_path.iterdir())
