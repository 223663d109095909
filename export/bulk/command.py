"""Runs `python -m export encode`: checks the documents, encodes them on Ray Data, and writes them to the store."""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from export.bulk import flags
from export.bulk.checking import Plan, check, check_unchanged
from export.bulk.cluster import check_ray, encoded_rows, open_cluster
from export.bulk.parts import files_of
from export.bulk.writing import Writer, opened
from export.errors import ExportError
from export.progress import Progress
from server.catalogue.store import Store
from server.encoding.cutting import chosen_cutting
from server.encoding.manifest import read_manifest
from server.errors import StartError
from server.programs import EXPORTER_ERROR

CONTINUES = "the same command continues with the others"

DIED = f"{EXPORTER_ERROR}: the command has died, as it does if Ray is lost; what was written stays; {CONTINUES}"

PACE_SECONDS = 5.0
"""Time between two lines of progress within a step."""


@dataclass
class Times:
    """Times of a run, in seconds: from Ray's start to the last document, and the CPU time of encoding."""

    run_seconds: float = 0.0
    encoding_cpu_seconds: float = 0.0


class _Pace:
    """Passes lines on to the progress, at most one in an interval."""

    def __init__(self, progress: Callable[[str], None]) -> None:
        self._progress = progress
        self._last = time.monotonic()

    def __call__(self, line: Callable[[], str]) -> None:
        if (now := time.monotonic()) - self._last >= PACE_SECONDS:
            self._last = now
            self._progress(line())


def main(arguments: Sequence[str]) -> None:
    """Runs the command line.

    Raises:
        ExportError, StartError: A file, the bundle, the store or Ray cannot be used.
        KeyboardInterrupt: The run was stopped; the message says how many documents were written.
    """
    options = flags.parse(arguments)
    check_ray(options.address)
    cutting = chosen_cutting(options)
    revision = read_manifest(options.bundle, cutting=cutting).revision
    files = files_of(options.catalogue)
    with Progress(last_words=DIED) as progress, opened(options.data, revision=revision) as store:
        plan = _check(options, files, store, revision, progress)
        writer, times = Writer(store, revision, only_vectors=options.only_vectors), Times()
        try:
            if plan.works:
                _encode(options, plan, writer, times, progress)
            check_unchanged(plan)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"{writer.written:,} documents were written; {CONTINUES}") from None
        except (ExportError, StartError) as error:
            if not writer.written:
                raise
            raise ExportError(f"{error}; before, {writer.written:,} documents were written; {CONTINUES}") from None
    _print_report(options, plan, writer, times)


def _check(options: argparse.Namespace, files: Sequence[Path], store: Store, revision: str, progress: Progress) -> Plan:
    progress(f"checking the documents of {_counted(len(files), 'file')}")
    pace = _Pace(progress)
    return check(
        files,
        store,
        revision=revision,
        max_document_characters=options.max_document_characters,
        progress=lambda documents: pace(lambda: f"checking the documents: {documents:,} are valid"),
    )


def _encode(options: argparse.Namespace, plan: Plan, writer: Writer, times: Times, progress: Progress) -> None:
    started = time.monotonic()
    progress(f"connecting to Ray at {options.address}" if options.address else "starting Ray on this machine")
    with open_cluster(options.address, options.encode_workers) as encoders:
        progress(f"encoding {plan.wanted:,} of {plan.documents:,} documents with {_counted(encoders, 'worker')}")
        from export.bulk.portions import encoded_of, error_of

        pace = _Pace(progress)
        cutting = chosen_cutting(options)
        rows = encoded_rows(plan.works, options.bundle.absolute(), cutting, writer.revision, encoders=encoders)
        with contextlib.closing(rows):  # Before Ray ends.
            for row in rows:
                if (error := error_of(row)) is not None:
                    raise ExportError(error)
                portion = encoded_of(row)
                writer.write(portion)
                times.encoding_cpu_seconds += portion.cpu_seconds
                times.run_seconds = time.monotonic() - started
                pace(lambda: f"encoding: {writer.written:,} of {plan.wanted:,} documents are written")


def _print_report(options: argparse.Namespace, plan: Plan, writer: Writer, times: Times) -> None:
    rows = {
        "documents": f"{plan.documents:,}",
        "written": f"{writer.documents:,}",
        "only vectors written": f"{writer.unchanged:,}",
        "left out": f"{writer.left_out:,}",
        "unchanged": f"{plan.documents - plan.wanted:,}",
        "vectors written": f"{writer.vectors:,}",
        "encoding": f"{times.run_seconds:.1f} s with Ray's start, {times.encoding_cpu_seconds:.1f} s of CPU time",
        "store": str(options.data),
    }
    for name, value in rows.items():
        print(f"{name:21} {value}")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
