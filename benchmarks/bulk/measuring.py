"""Runs the command once, and digests the store that it has written."""

import contextlib
import hashlib
import itertools
import json
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.serving.documents import new_documents
from loadtest.requests.queries import Query
from sample.server_process import REPOSITORY
from server.catalogue.document import content_of
from server.catalogue.location import Location, text_of
from server.catalogue.store import Store
from tests.ray_workers import kill_encoder

CPU = re.compile(r"([0-9.]+) s of CPU time")

POLL_SECONDS = 0.1


class Run(NamedTuple):
    """A run of the command: its duration, and the CPU time of encoding that it reports."""

    seconds: float
    encoding_cpu_seconds: float


def write_documents(path: Path, queries: Sequence[Query], *, count: int) -> Path:
    """Writes a catalogue of documents with a title and a text of three sentences; returns its path."""
    with path.open("w", encoding="utf-8") as file:
        for upsert in itertools.islice(new_documents(queries), count):
            made = upsert.document
            document = {"id": made.id, "title": made.titles[0].text, "text": made.texts[0].text}
            file.write(json.dumps(document, ensure_ascii=False) + "\n")
    return path


def encode(bundle: Path, catalogue: Path, place: Location, *, workers: int, kill: bool = False) -> Run:
    """Runs the command on an empty store; if `kill`, kills a worker when half of the documents are written."""
    command = [sys.executable, "-m", "export", "encode", "--bundle", str(bundle), "--catalogue", str(catalogue)]
    command += ["--data", text_of(place), "--encode-workers", str(workers)]
    started = time.monotonic()
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        if kill:
            with catalogue.open("rb") as file:
                _wait_until_written(place, sum(1 for _ in file) // 2, process)
            kill_encoder(process.pid)
        out, error = process.communicate()
    except BaseException:
        process.kill()
        process.wait()
        raise
    seconds = time.monotonic() - started
    found = CPU.search(out)
    if process.returncode or found is None:
        raise SystemExit(f"the command failed: {error}")
    return Run(seconds, float(found[1]))


def content_digest(place: Location, revision: str) -> str:
    """Returns a digest of the documents of a store, their sequences and their vectors."""
    digest = hashlib.sha256()
    with contextlib.closing(Store(place, serving=False)) as store:
        for each in store.after(0, revision):
            assert each.vectors is not None, "every document is encoded"
            digest.update(f"{each.sequence} ".encode() + content_of(each.document))
            digest.update(each.vectors.spans.tobytes() + each.vectors.matrix.tobytes())
    return digest.hexdigest()


def _wait_until_written(place: Location, count: int, process: subprocess.Popen[str]) -> None:
    with contextlib.closing(Store(place, serving=False)) as store:
        while store.sequence < count:
            if process.poll() is not None:
                raise SystemExit(f"the command ended before it wrote half of the documents: {process.communicate()[1]}")
            time.sleep(POLL_SECONDS)
            store.refresh()
