"""Builds a graph in a process of its own (`server.vectors.build_process`).

USearch adds vectors a hundred times slower beside a busy Python thread, and would stall searches meanwhile. A graph
that exists is extended, not built again. When this process ends, so does the other: its standard input closes.
"""

import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.errors import BuildFailed
from server.files import sync
from server.snapshot import CheckedFile, file_checksum
from server.vectors.storage import Storage

log = logging.getLogger(__name__)


class BuiltGraph(NamedTuple):
    """The files of a graph: USearch's own, and the rows that scores come from as a NumPy array."""

    graph: CheckedFile
    rows: CheckedFile

    def remove(self) -> None:
        """Removes the files."""
        for file in self:
            file.path.unlink(missing_ok=True)


class GraphBuilder:
    """One build, to be run in a thread and cancelled from another."""

    def __init__(self, out: Path, *, storage: Storage, base: BuiltGraph | None = None) -> None:
        """Takes the path of the files to write, without a suffix, and the graph to extend."""
        self._graph, self._rows = out.with_suffix(".graph"), out.with_suffix(".npy")
        self._storage: Storage = storage
        self._base = base
        self._process: subprocess.Popen[bytes] | None = None
        self._cancelled = False

    def run(self, rows: Sequence[NDArray[Any]]) -> BuiltGraph:
        """Builds the graph of blocks of rows `[N, dimension]`, those of the base first; returns when it is on the disk.

        Raises:
            BuildFailed: The process failed or was cancelled; no file is left.
            OSError: The disk is full.
        """
        try:
            _write_rows(self._rows, rows)
            reachable = self._build()
            for path in (self._graph, self._rows):
                sync(path)
            graph, kept = (CheckedFile(path, file_checksum(path)) for path in (self._graph, self._rows))
        except BaseException:
            for path in (self._graph, self._rows):
                path.unlink(missing_ok=True)
            raise
        log.info("a graph was built; %s of the vectors that were looked up in it are found", reachable)
        return BuiltGraph(graph, kept)

    def cancel(self) -> None:
        """Ends the build as soon as possible. `run` raises."""
        self._cancelled = True
        if self._process is not None:
            self._process.kill()

    def _build(self) -> str:
        """Runs the process, and returns what it says at its end."""
        command = [sys.executable, "-m", "server.vectors.build_process"]
        command += ["--rows", str(self._rows), "--out", str(self._graph), "--storage", self._storage]
        if self._base is not None:
            command += ["--base", str(self._base.graph.path)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:
            self._process = process
            if self._cancelled:
                process.kill()
            assert process.stdout is not None
            lines = process.stdout.read().decode(errors="replace").strip().splitlines()
        last_line = lines[-1] if lines else f"exit code {process.returncode}"
        if process.returncode != 0:
            reason = "cancelled" if self._cancelled else last_line
            raise BuildFailed(f"the graph of the index could not be built: {reason}")
        return last_line


def _write_rows(path: Path, rows: Sequence[NDArray[Any]]) -> None:
    """Writes blocks of rows as one array of NumPy's format."""
    shape = (sum(map(len, rows)), rows[0].shape[1])
    with path.open("wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(rows[0].dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for block in rows:
            file.write(np.ascontiguousarray(block).data)
