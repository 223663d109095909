"""Installs the wheel of the server into an empty environment, and checks it: `make server-wheel-check`."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from pathlib import Path

import chaja
from chaja.v1 import SearchRequest
from sample.server_process import REPOSITORY, running_server
from server.encoding.native.library import cpu_can_run
from tools.wheel_environment import Failed, check_version, check_wheel

MAX_MEGABYTES = 350
DOCUMENTS = 50


def main() -> None:
    """Runs the checks; exits with 1 and the reason if one fails."""
    check_wheel("python -m tools.server_wheel_check", check, max_megabytes=MAX_MEGABYTES)


def check(environment: Path, bundle: Path, folder: Path) -> None:
    """Checks the installed commands."""
    check_commands(environment)
    check_serving(environment, bundle, folder)


def check_commands(environment: Path) -> None:
    """Checks the commands that the wheel installs."""
    check_version(str(environment / "bin/chaja-server"))
    check_version(str(environment / "bin/python"), "-m", "chaja_server")
    exporter = subprocess.run([str(environment / "bin/chaja-export")], capture_output=True, text=True, check=False)
    lines = exporter.stderr.splitlines()
    if exporter.returncode != 1 or len(lines) != 1 or "pip install 'chaja-server[export]'" not in lines[0]:
        raise Failed(f"chaja-export without its extra printed {exporter.stderr!r}")


def check_serving(environment: Path, bundle: Path, folder: Path) -> None:
    """Serves a few documents, searches them, and checks which encoder runs."""
    catalogue = folder / "catalogue.jsonl"
    lines = (REPOSITORY / "sample/catalogue.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    catalogue.write_text("".join(lines[:DOCUMENTS]), encoding="utf-8")
    flags = ["--bundle", str(bundle), "--catalogue", str(catalogue), "--data", str(folder / "data")]
    flags += ["--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]
    document = json.loads(lines[0])
    with running_server(flags, program=[str(environment / "bin/chaja-server")]) as server:
        with chaja.connect(server.address) as client:
            hits = client.search.Search(SearchRequest(query=next(iter(document["title"].values())))).hits
        with urllib.request.urlopen(server.metrics_url) as metrics:  # noqa: S310  the URL is the server's
            text = metrics.read().decode()
    encoder = "native" if cpu_can_run() else "onnxruntime"
    if f'encoder="{encoder}"' not in text:
        raise Failed(f"the server does not use the encoder {encoder}")
    if not hits or hits[0].document_id != document["id"]:
        raise Failed(f"a search for the title of {document['id']} found {[hit.document_id for hit in hits]}")
    print(f"chaja-server answered a search with the encoder {encoder}")


if __name__ == "__main__":
    main()
