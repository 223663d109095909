"""The token that metrics and pages need if the server has a token file for its HTTP port."""

import base64
import binascii
from collections.abc import Callable, Set

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from server.metrics import Refusal
from server.security.tokens import AccessTokens

OnRefused = Callable[[Refusal, str], object]
"""Takes the reason for which a request is refused, and the address of its client."""

REFUSED = "send the token of --http-token-file as a bearer token, or as the password of any user\n"

CHALLENGE = {"WWW-Authenticate": 'Basic realm="Chaja", charset="UTF-8"'}
"""Makes a browser ask for a user name and a password."""


class TokenGuard:
    """Refuses requests without a valid token."""

    def __init__(self, app: ASGIApp, *, tokens: AccessTokens, open_paths: Set[str], on_refused: OnRefused) -> None:
        """Takes the paths that need no token."""
        self._app = app
        self._tokens = tokens
        self._open_paths = open_paths
        self._on_refused = on_refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes an allowed request on."""
        app = self._app
        if scope["path"] not in self._open_paths:
            token = sent_token(Headers(scope=scope).get("Authorization", ""))
            if self._tokens.find(token) is None:
                host = scope["client"][0] if scope["client"] else ""
                self._on_refused("http_token_unknown" if token else "http_token_missing", f"http:{host}")
                app = PlainTextResponse(REFUSED, 401, headers=CHALLENGE)
        await app(scope, receive, send)


def sent_token(authorization: str) -> str:
    """Returns the token in an Authorization header, or an empty string if there is none.

    It is a bearer token (RFC 6750), or the password of any user (RFC 7617), so that a browser can open a page.
    """
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""
