"""Builds a graph in a separate process (`server.vectors.build_process`).

USearch adds vectors far more slowly beside a busy Python thread, and would stall searches while it does. An existing
graph is extended, not built again. When the server exits, the process exits too, because its standard input closes.
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

GRAPHS_PREFIX = "graphs-"
"""Beginning of the names of the folders in which graphs are built."""

SUFFIXES = (".graph", ".npy", ".firsts.npy")
GRAPH_FILES = tuple(f"vectors{suffix}" for suffix in SUFFIXES)
"""Suffixes of the files of a `BuiltGraph`, in its order, and the names of the files in a snapshot."""


class BuiltGraph(NamedTuple):
    """The files of a graph: USearch's file, the rows for scoring, and the first equal row of each as NumPy arrays."""

    graph: CheckedFile
    rows: CheckedFile
    firsts: CheckedFile

    def remove(self) -> None:
        """Removes the files."""
        for file in self:
            file.path.unlink(missing_ok=True)


class GraphBuilder:
    """One build. One thread runs it, another may cancel it."""

    def __init__(self, out: Path, *, storage: Storage, base: BuiltGraph | None = None) -> None:
        """Prepares a build that writes files with the path `out`, plus suffixes, and extends the graph `base`."""
        self._paths = [out.with_suffix(suffix) for suffix in SUFFIXES]
        self._storage: Storage = storage
        self._base = base
        self._process: subprocess.Popen[bytes] | None = None
        self._cancelled = False

    def run(self, rows: Sequence[NDArray[Any]]) -> BuiltGraph:
        """Builds the graph of blocks of rows `[N, dimension]`, the base's first; returns when it is on disk.

        Raises BuildFailed if the process fails or is cancelled, OSError if the disk is full. Then no files remain.
        """
        try:
            _write_rows(self._paths[1], rows)
            reachable = self._build()
            for path in self._paths:
                sync(path)
            built = BuiltGraph(*(CheckedFile(path, file_checksum(path)) for path in self._paths))
        except BaseException:
            for path in self._paths:
                path.unlink(missing_ok=True)
            raise
        log.info("built a graph; %s of the probed vectors are found in it", reachable)
        return built

    def cancel(self) -> None:
        """Ends the build as soon as possible. `run` raises BuildFailed."""
        self._cancelled = True
        if self._process is not None:
            self._process.kill()

    def _build(self) -> str:
        """Runs the process; returns the last line of its output."""
        graph, rows, firsts = map(str, self._paths)
        command = [sys.executable, "-m", f"{__package__}.build_process"]
        command += ["--rows", rows, "--out", graph, "--firsts", firsts, "--storage", self._storage]
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
    """Writes blocks of rows as one array in NumPy's format."""
    shape = (sum(map(len, rows)), rows[0].shape[1])
    with path.open("wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(rows[0].dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for block in rows:
            file.write(np.ascontiguousarray(block).data)
