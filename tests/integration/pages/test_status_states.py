"""A status page that is open while the server loads, serves, drains and has ended."""

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from sample.server_process import REPOSITORY
from tests.conftest import SAMPLE_CATALOGUE, server_flags
from tests.integration.pages import gated_server
from tests.integration.pages.conftest import OpenPage


@pytest.fixture
def loading_server(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server that loads until the file `gate` exists, and drains for a minute; yields it and its URL."""
    monkeypatch.setenv(gated_server.GATE, str(tmp_path / "gate"))
    flags = server_flags(tiny_bundle, SAMPLE_CATALOGUE, "--drain-wait-seconds", "60")
    command = [sys.executable, "-m", gated_server.MODULE, *flags]
    with subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True, encoding="utf-8") as process:
        assert process.stderr is not None
        listening = next(found for line in process.stderr if (found := re.search(r"metrics on (\S+)/metrics", line)))
        reader = threading.Thread(target=process.stderr.read)  # A full pipe would stop the server.
        reader.start()
        yield process, listening[1]
        process.kill()
        reader.join()


def test_an_open_page_follows_the_states_of_the_server(
    loading_server: tuple[subprocess.Popen[str], str], open_page: OpenPage, tmp_path: Path
) -> None:
    process, url = loading_server
    opened = open_page(f"{url}/")
    page, state = opened.page, opened.page.locator("#state-word")
    expect(state).to_have_text("Loading")
    expect(page.locator("#loading-text")).to_contain_text("Now: opening the model.")
    expect(page.locator("#findings")).to_be_empty()
    (tmp_path / "gate").touch()
    expect(state).to_have_text("Serving")
    expect(page.locator("#loading")).to_be_hidden()
    expect(page.locator("#facts-line")).to_contain_text("model tiny")
    process.send_signal(signal.SIGTERM)
    expect(state).to_have_text("Draining")
    expect(page.locator("#loading")).to_contain_text("It finishes the calls in flight, then stops.")
    process.send_signal(signal.SIGTERM)  # It ends at once.
    expect(state).to_have_text("No answer")
    expect(page.locator("#findings")).to_contain_text("The server does not answer")
    refused = [message for message in opened.messages if "ERR_CONNECTION_REFUSED" in message]
    assert refused == opened.messages  # The browser reports each request that failed.
    opened.messages.clear()
