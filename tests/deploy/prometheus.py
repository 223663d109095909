"""A real Prometheus, with the rules of `deploy/prometheus`."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from sample.server_process import REPOSITORY

CONFIGURATION = REPOSITORY / "deploy/prometheus/prometheus.yml"
START_SECONDS = 30.0
LISTENING = re.compile(r'component=web msg="Listening on" address=(\S+)')


def tool(name: str) -> str:
    """Returns the path of `prometheus` or `promtool`, which `make promtool` fetches. Skips the test without it."""
    found = shutil.which(name) or shutil.which(REPOSITORY / "build/tools/usr/bin" / name)
    if found is None:
        assert not os.environ.get("CI"), f"{name} is missing: make promtool"
        pytest.skip(f"{name} is missing: make promtool")
    return found


class QueryError(Exception):
    """Prometheus rejects a query; the message is Prometheus's."""


class Series(NamedTuple):
    """One series of an answer, with its value now."""

    labels: dict[str, str]
    value: float


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus; `url` has no slash at the end."""

    url: str

    def query(self, expression: str) -> list[Series]:
        """Evaluates an expression now; raises QueryError."""
        result = self._get("query", query=expression)
        if result["resultType"] == "scalar":
            return [Series({}, float(result["result"][1]))]
        return [Series(each["metric"], float(each["value"][1])) for each in result["result"]]

    def wait_for(self, expression: str, *, seconds: float = 30.0) -> list[Series]:
        """Evaluates an expression until it has a series; returns the series."""
        ends = time.monotonic() + seconds
        while not (found := self.query(expression)):
            assert time.monotonic() < ends, f"no data in {seconds:g} s: {expression}"
            time.sleep(0.1)
        return found

    def rules(self) -> list[dict[str, Any]]:
        """Returns the loaded rules, each with its `health` and `lastError`."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def _get(self, path: str, **parameters: str) -> Any:
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=30) as response:  # noqa: S310
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            with error:
                raise QueryError(json.load(error)["error"]) from None


@contextlib.contextmanager
def running_prometheus(
    directory: Path,
    targets: Mapping[str, str],
    *,
    label: str = "instance",
    rules: Sequence[Path] | None = None,
) -> Iterator[Prometheus]:
    """Runs Prometheus with our configuration, except that it scrapes and evaluates every second.

    Args:
        directory: A directory for its data.
        targets: Addresses to scrape, by the value of a label.
        label: Name of that label.
        rules: Files of rules, instead of those that the configuration names.
    """
    configuration = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))
    configuration["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    named = [CONFIGURATION.parent / name for name in configuration.get("rule_files", [])]
    configuration["rule_files"] = [str(path) for path in (named if rules is None else rules)]
    (scraped,) = configuration["scrape_configs"]
    scraped["static_configs"] = [{"targets": [address], "labels": {label: value}} for value, address in targets.items()]
    file = directory / "prometheus.yml"
    file.write_text(yaml.safe_dump(configuration), encoding="utf-8")
    log = directory / "prometheus.log"
    command = [tool("prometheus"), f"--config.file={file}", f"--storage.tsdb.path={directory / 'data'}"]
    command += ["--web.listen-address=127.0.0.1:0", "--enable-feature=exemplar-storage"]
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            yield Prometheus(_url(process, log))
        finally:
            process.terminate()


def _url(process: subprocess.Popen[bytes], log: Path) -> str:
    """Waits until Prometheus answers queries; returns its URL."""
    ends = time.monotonic() + START_SECONDS
    while "Server is ready to receive web requests" not in (text := log.read_text()):
        assert process.poll() is None, text
        assert time.monotonic() < ends, text
        time.sleep(0.02)
    found = LISTENING.search(text)
    assert found, text
    return f"http://{found[1]}"
