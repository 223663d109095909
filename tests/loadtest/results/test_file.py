from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.errors import ResultsError
from loadtest.results.blocks import FRAME, Kind
from loadtest.results.file import SCHEMA_VERSION, ResultsWriter, read_runs
from tests.loadtest.results_files import record, records, vitals, write_run

NO_RESULTS = "is not a results file"


@dataclass
class Seen:
    """A run read to its end."""

    started: float
    partial: str
    cut_short: str
    vitals: list[dict[str, Any]]
    metrics: list[dict[str, Any]]
    records: list[bytes] = field(default_factory=list)


def read(*paths: Path) -> list[Seen]:
    runs = []
    for run, blocks in read_runs(paths):
        packed = [bytes(each) for block in blocks for each in block]
        runs.append(Seen(run.header["started"], run.partial, run.cut_short, run.vitals, run.metrics, packed))
    return runs


def some_records(count: int, *, first: int = 0) -> list[bytes]:
    return [record(number / 10) for number in range(first, first + count)]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=4))
def test_a_run_survives_a_round_trip(tmp_path_factory: pytest.TempPathFactory, counts: list[int]) -> None:
    path = tmp_path_factory.getbasetemp() / "round trip.bin"
    report, metrics = vitals(), {"seconds": 1.0, "samples": {"ready": 1.0}}
    everything: list[bytes] = []
    with ResultsWriter(path, {"started": 5.0}) as results:
        for count in counts:
            some = some_records(count, first=len(everything))
            everything += some
            results.records(b"".join(some))
            results.json(Kind.VITALS, report)
        results.json(Kind.METRICS, metrics)
        results.json(Kind.END, {"partial": ""})
    (run,) = read(path)
    assert run == Seen(5.0, "", "", [report] * len(counts), [metrics], everything)


def test_a_cut_file_is_read_up_to_its_last_whole_block(tmp_path: Path) -> None:
    path = tmp_path / "whole.bin"
    sizes: list[tuple[int, int, int]] = []  # Size of the file, and its numbers of records and vitals.
    with ResultsWriter(path, {"started": 1.0}) as results:
        header = path.stat().st_size
        everything = some_records(60)
        sizes.append((header, 0, 0))
        for number in range(3):
            results.records(b"".join(everything[20 * number : 20 * number + 20]))
            sizes.append((path.stat().st_size, 20 * number + 20, number))
            results.json(Kind.VITALS, vitals())
            sizes.append((path.stat().st_size, 20 * number + 20, number + 1))
        results.json(Kind.END, {"partial": ""})
    data = path.read_bytes()
    cut = tmp_path / "cut.bin"
    for length in range(len(data)):
        cut.write_bytes(data[:length])
        if length < header:
            with pytest.raises(ResultsError, match=NO_RESULTS):
                read(cut)
            continue
        (run,) = read(cut)
        _, records_before, vitals_before = max(each for each in sizes if each[0] <= length)
        assert run.records == everything[:records_before]
        assert len(run.vitals) == vitals_before
        assert run.partial.startswith("the results file was cut short: ")
        assert ("middle of a block" in run.partial) == (length not in [size for size, _, _ in sizes])
    (run,) = read(path)
    assert (len(run.records), run.partial) == (60, "")


def test_a_flipped_byte_is_detected_anywhere(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run.bin", some_records(20), reports=[vitals()])
    data = path.read_bytes()
    header_length = FRAME.size + FRAME.unpack(data[: FRAME.size])[2]
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        if position < header_length:
            with pytest.raises(ResultsError, match=NO_RESULTS):
                read(path)
        else:
            (run,) = read(path)
            assert run.cut_short
            assert run.partial
            assert run.records in ([], some_records(20))


def test_two_concatenated_files_are_two_runs(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one.bin", some_records(150), started=1.0, reports=[vitals(process=1)])
    two = write_run(tmp_path / "two.bin", some_records(5), started=2.0, end={"partial": "interrupted"})
    both = tmp_path / "both.bin"
    both.write_bytes(one.read_bytes() + two.read_bytes())
    assert read(both) == read(one, two)
    first, second = read(both)
    assert (first.started, len(first.records), first.partial, len(first.vitals)) == (1.0, 150, "", 1)
    assert (second.started, len(second.records), second.partial, second.vitals) == (2.0, 5, "interrupted", [])


def test_a_run_without_an_end_is_partial_and_the_next_one_is_read(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one.bin", some_records(3), started=1.0, end=None)
    two = write_run(tmp_path / "two.bin", some_records(2), started=2.0)
    both = tmp_path / "both.bin"
    both.write_bytes(one.read_bytes() + two.read_bytes())
    first, second = read(both)
    assert "does not say how the run ended" in first.partial
    assert (len(first.records), len(second.records), second.partial) == (3, 2, "")


def test_records_that_were_not_read_are_skipped(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one.bin", some_records(250), started=1.0, reports=[vitals()])
    two = write_run(tmp_path / "two.bin", some_records(250), started=2.0)
    seen = []
    for run, blocks in read_runs([one, two]):
        next(blocks)
        seen.append(run)
    assert [run.header["started"] for run in seen] == [1.0, 2.0]
    assert [len(run.vitals) for run in seen] == [1, 0]
    assert [run.partial for run in seen] == ["", ""]


@pytest.mark.parametrize("content", [b"", b"CJ", b"{}\n", b"\x00" * 1000])
def test_another_file_is_rejected(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.bin"
    path.write_bytes(content)
    with pytest.raises(ResultsError, match=r"other\.bin is not a results file"):
        read(path)


def test_a_file_of_another_version_is_rejected(tmp_path: Path) -> None:
    with ResultsWriter(tmp_path / "new.bin", {"schema_version": SCHEMA_VERSION + 1}):
        pass
    with pytest.raises(ResultsError, match=f"has version {SCHEMA_VERSION + 1} .* reads {SCHEMA_VERSION}"):
        read(tmp_path / "new.bin")


def test_a_file_that_cannot_be_written_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file/run.bin", Path("/dev/full")):
        with pytest.raises(ResultsError, match="cannot be written"):
            ResultsWriter(path, {})


def test_records_are_flushed_at_once(tmp_path: Path) -> None:
    path = tmp_path / "made for it/run.bin"
    with ResultsWriter(path, {"started": 1.0}) as results:
        results.records(b"".join(some_records(7)))
        (run,) = read(path)
        assert len(run.records) == 7
        assert run.partial
    assert len(records(run.records)) == 7


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_a_run_after_one_that_was_cut_short_is_read_whole(tmp_path: Path, kept: float) -> None:
    first, second = (write_run(tmp_path / f"{n}.bin", [record(i / 10) for i in range(n)]) for n in (500, 300))
    cut = first.read_bytes()
    merged = tmp_path / "merged.bin"
    merged.write_bytes(cut[: int(len(cut) * kept)] + second.read_bytes())
    counts, partial = [], []
    for run, blocks in read_runs([merged]):
        counts.append(sum(len(block) for block in blocks))
        partial.append(bool(run.partial))
    assert partial == [True, False]
    assert counts[1] == 300
    assert counts[0] < 500
