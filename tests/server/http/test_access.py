import asyncio
import base64
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from server.http.access import sent_token
from server.security import tokens
from server.security.tokens import AccessTokens, read_token
from tests.server.http.conftest import Opened

TOKEN = "correct-horse-battery"


async def page(_: Request) -> Response:
    return PlainTextResponse("a page")


def basic(user_and_password: str) -> str:
    return "Basic " + base64.b64encode(user_and_password.encode()).decode()


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tokens, "CHECK_SECONDS", 0.0)
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n", encoding="utf-8")
    return file


@pytest.mark.parametrize("sent", [f"Bearer {TOKEN}", f"bearer  {TOKEN} ", basic(f"me:{TOKEN}"), basic(f":{TOKEN}")])
async def test_metrics_and_pages_need_the_token(opened: Opened, file: Path, sent: str) -> None:
    with opened(tokens=AccessTokens(file, read_token), pages=[Route("/", page)]) as port:
        assert port.get("/", authorization=sent) == (200, "a page")
        assert port.get("/metrics", authorization=sent)[0] == 200
        assert port.get("/other", authorization=sent)[0] == 404
        assert port.get("/metrics", authorization=sent, method="HEAD") == (200, "")


@pytest.mark.parametrize(
    "sent",
    ["", "Bearer", f"Bearer {TOKEN}x", f"Token {TOKEN}", TOKEN, basic(f"{TOKEN}:"), "Basic !", "Basic /w==", "Basic "],
)
async def test_other_tokens_are_refused(opened: Opened, file: Path, sent: str) -> None:
    with opened(tokens=AccessTokens(file, read_token), pages=[Route("/", page)]) as port:
        paths = ("/", "/metrics", "/%6Detrics", "/metrics?x", "/other", "//", "/./healthz/../metrics")
        for path in paths:
            with port.response(path, authorization=sent) as response:
                assert (response.status, response.headers["WWW-Authenticate"][:6]) == (401, "Basic ")
                assert b"apples" not in response.read()
        reason = "http_token_unknown" if sent_token(sent) else "http_token_missing"
        assert port.refused == len(paths) * [(reason, "http:127.0.0.1")]


async def test_probes_need_no_token(opened: Opened, file: Path) -> None:
    with opened(tokens=AccessTokens(file, read_token)) as port:
        port.ready = True
        for path in ("/healthz", "/readyz"):
            assert await asyncio.to_thread(port.get, path) == (200, "ok\n")


async def test_the_token_file_is_read_again(opened: Opened, file: Path) -> None:
    with opened(tokens=AccessTokens(file, read_token)) as port:

        def status(token: str) -> int:
            return port.get("/metrics", authorization=f"Bearer {token}")[0]

        file.write_text("another-token-altogether", encoding="utf-8")
        assert (status(TOKEN), status("another-token-altogether")) == (401, 200)
        file.write_text("", encoding="utf-8")
        assert (status(TOKEN), status("another-token-altogether"), status("")) == (401, 401, 401)


def test_a_token_is_the_part_after_the_first_colon() -> None:
    assert sent_token(basic("me:a:b")) == "a:b"
