"""Writes and reads results files."""

import contextlib
import functools
import os
import shutil
import tempfile
import zlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from loadtest.errors import ResultsError
from loadtest.programs import PROGRAM
from loadtest.results.blocks import MAGIC, CutShort, Kind, read_blocks, seek_header, write_block, write_json
from loadtest.results.record import DTYPE

SCHEMA_VERSION = 4
STANDARD_INPUT = Path("-")
Records = NDArray[np.void]


class ResultsWriter:
    """Writes one run, and flushes each block immediately."""

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        if path.is_file() and path.stat().st_size and not is_results_file(path):
            raise ResultsError(f"{path} exists, is not a results file and is not overwritten; name another file")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb")
        except OSError as error:
            raise ResultsError(f"{path} cannot be written: {error.strerror}") from None
        self.path = path
        try:
            self.json(Kind.HEADER, {"schema_version": SCHEMA_VERSION, **header})
        except ResultsError:
            self._close()
            raise

    def records(self, packed: bytes) -> None:
        """Appends packed records; raises ResultsError if the disk is full."""
        with self._writing():
            write_block(self._file, Kind.RECORDS, zlib.compress(packed, level=1))

    def json(self, kind: Kind, value: dict[str, Any]) -> None:
        """Appends a block of another kind; raises ResultsError if the disk is full."""
        with self._writing():
            write_json(self._file, kind, value)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
            self._file.flush()
        except OSError as error:
            raise ResultsError(f"{self.path} cannot be written: {error.strerror}") from None

    def _close(self) -> None:
        with contextlib.suppress(OSError):  # Closing repeats a failed write, which was already reported.
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._close()


def is_results_file(path: Path) -> bool:
    """Returns whether a file exists and begins like a results file."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


@dataclass
class Run:
    """A run without its records, which are read when they are needed: there may be millions.

    Attributes:
        header: Its plan and environment.
        vitals: Reports of the generator's processes, twice a second.
        metrics: Metrics scraped from the server.
        end: How the run ended; empty if the file does not say.
        cut_short: Why the file ends before the run; empty if it does not.
        path: The file.
    """

    header: dict[str, Any]
    path: Path
    vitals: list[dict[str, Any]] = field(default_factory=list)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    end: dict[str, Any] = field(default_factory=dict)
    cut_short: str = ""

    @property
    def partial(self) -> str:
        """The reason why the run is partial; empty if it is whole."""
        if self.cut_short:
            return f"the results file was cut short: {self.cut_short}"
        if not self.end:
            return "the results file was cut short: it does not say how the run ended"
        return str(self.end.get("partial", ""))


def read_runs(paths: Sequence[Path]) -> Iterator[tuple[Run, Iterator[Records]]]:
    """Yields each run of each file with an iterator over its records, in blocks.

    Read the records before the next run. The run's other attributes are complete only after its records.

    Raises:
        ResultsError: A file cannot be read or is not a results file.
    """
    for path in paths:
        yield from _runs_of(path)


def _opened(path: Path) -> IO[bytes]:
    """Returns the open file of a path, at its start; `-` is standard input. A pipe is replaced by a copy.

    Raises:
        ResultsError: It cannot be read.
    """
    try:
        if path != STANDARD_INPUT and (path.is_file() or not path.exists()):
            return path.open("rb")
        return os.fdopen(os.dup(_copy_of(path).fileno()), "rb")
    except OSError as error:
        raise ResultsError(f"{path} cannot be read: {error.strerror}") from None


@functools.cache
def _copy_of(path: Path) -> IO[bytes]:
    """Returns a temporary file with what a pipe contains, which can be read once only: reports may read it again."""
    with open(0 if path == STANDARD_INPUT else path, "rb", closefd=path != STANDARD_INPUT) as pipe:
        copy = tempfile.TemporaryFile()  # noqa: SIM115  It has no name, and lives as long as this process.
        start = pipe.read(len(MAGIC))
        copy.write(start)
        if start == MAGIC:  # Other data, perhaps endless, is refused by its start.
            shutil.copyfileobj(pipe, copy)
        copy.flush()
        return copy


def _runs_of(path: Path) -> Iterator[tuple[Run, Iterator[Records]]]:
    with _opened(path) as file:
        file.seek(0)
        try:
            first = next(read_blocks(file), None)
        except CutShort:
            first = None
        if first is None or first.kind != Kind.HEADER:
            raise ResultsError(f"{path} is not a results file of {PROGRAM} attack")
        following: list[dict[str, Any]] = [first.json()]

        def records(run: Run) -> Generator[Records]:
            whole = file.tell()  # The end of the last whole block.
            try:
                for block in read_blocks(file):
                    whole = file.tell()
                    match block.kind:
                        case Kind.RECORDS:
                            yield np.frombuffer(zlib.decompress(block.payload), dtype=DTYPE)
                        case Kind.VITALS:
                            run.vitals.append(block.json())
                        case Kind.METRICS:
                            run.metrics.append(block.json())
                        case Kind.END:
                            run.end = block.json()
                        case Kind.HEADER:
                            following.append(block.json())
                            return
            except CutShort as error:
                run.cut_short = str(error)
                if seek_header(file, whole + 1):
                    following.append(next(read_blocks(file)).json())

        while following:
            run = Run(header=_checked(following.pop(), path), path=path)
            rest = records(run)
            with contextlib.closing(rest):
                yield run, rest
                for _ in rest:  # Skip the records that the caller left, up to the next header.
                    pass


def _checked(header: dict[str, Any], path: Path) -> dict[str, Any]:
    version = header.get("schema_version")
    if version != SCHEMA_VERSION:
        raise ResultsError(
            f"{path} has version {version} of the results format, and this program reads {SCHEMA_VERSION}: run the "
            "attack again, or read it with the release that wrote it"
        )
    return header
