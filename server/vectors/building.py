"""A graph is built in a process of its own: rows in on its standard input, a file out (`server.vectors.child`).

USearch adds vectors a hundred times slower beside a busy Python thread, and would stall searches meanwhile. A graph
that exists is extended, not built again: what is new costs its own time alone. When the one that started it ends, the
process does, too, for its input ends early; when it has read all of it, it still finishes.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.errors import BuildFailed
from server.vectors.layout import graph_files, unarranged_path
from server.vectors.storage import Storage


@dataclass(frozen=True)
class Built:
    """A graph in its file.

    Attributes:
        path: The file.
        count: Number of its rows.
        checksums: Of each of its files, by suffix.
        reachable: Share of probed rows that were found by their own vector.
    """

    path: Path
    count: int
    checksums: dict[str, int]
    reachable: float


class Builder:
    """One build, to be run in a thread and cancelled from another."""

    def __init__(self, out: Path, *, dimension: int, storage: Storage, base: Built | None = None) -> None:
        """Takes the file to write and the graph to extend, if any."""
        self._out = out
        self._dimension = dimension
        self._storage: Storage = storage
        self._base = base
        self._process: subprocess.Popen[bytes] | None = None
        self._cancelled = False

    def run(self, rows: Iterable[NDArray[Any]], count: int) -> Built:
        """Builds, and returns when the graph is on the disk and checked.

        Args:
            rows: The new rows, `count` in all, behind those of the base.
            count: Their number.

        Raises:
            BuildFailed: The process failed or was cancelled; it left no file.
        """
        command = [sys.executable, "-m", "server.vectors.child", "--out", str(self._out)]
        command += ["--dimension", str(self._dimension), "--storage", self._storage, "--count", str(count)]
        if self._base is not None:
            command += ["--base", str(self._base.path), "--base-count", str(self._base.count)]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # One core is what a build takes.
        )
        self._process = process
        if self._cancelled:
            process.kill()
        assert process.stdin is not None
        try:
            with contextlib.suppress(BrokenPipeError):  # The process says on its standard error why it ended.
                for block in rows:
                    process.stdin.write(np.ascontiguousarray(block).view(np.uint8).data)
            answer, complaint = process.communicate()
            if process.returncode != 0:
                lines = complaint.decode(errors="replace").strip().splitlines()
                reason = "cancelled" if self._cancelled else (lines or [f"exit code {process.returncode}"])[-1]
                raise BuildFailed(f"the graph of the index could not be built: {reason}")
            told = json.loads(answer)
        except BaseException:
            process.kill()
            process.wait()
            for graph in (self._out, unarranged_path(self._out)):
                for path in graph_files(graph, self._storage):
                    path.unlink(missing_ok=True)
            raise
        base_count = 0 if self._base is None else self._base.count
        return Built(self._out, base_count + count, told["checksums"], told["reachable"])

    def cancel(self) -> None:
        """Ends the build as soon as possible. `run` raises."""
        self._cancelled = True
        if self._process is not None:
            self._process.kill()
