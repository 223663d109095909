"""The access tokens, from a file that is read again when it changes.

Each line has a role, a name for people, and a token. `#` begins a comment:

    search  mobile-app   Zm9vYmFyYmF6cXV4
    admin   deployment   c2VjcmV0IGFkbWlu

A role includes all roles before it in `ROLES`. A name may have two tokens, so that a token can be rotated.

A file that is emptied, or missing for MISSING_SECONDS, has no tokens: no token is valid. A file that cannot be read or
has an invalid line changes nothing.
"""

import hashlib
import hmac
import logging
import re
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from server.errors import SecurityError
from server.security.watched import WatchedFiles

log = logging.getLogger(__name__)

Role = Literal["search", "write", "admin"]

ROLES: tuple[Role, ...] = get_args(Role)
"""The roles, the lowest first."""

MIN_TOKEN_CHARACTERS = 16
MAX_TOKEN_CHARACTERS = 4096
"""Headers with a longer token might be refused."""

MAX_FILE_BYTES = 2**20

COMMENT = re.compile(r"(^|\s)#.*")
"""A `#` within a token is part of it."""

CHECK_SECONDS = 1.0
"""Minimum time between two checks of the file."""

MISSING_SECONDS = 5.0
"""Time after which a missing file counts as empty. Before that, a program may be replacing it."""


class Token(NamedTuple):
    """A token of the file: its digest, its role, and the name of its holder."""

    digest: bytes
    role: Role
    name: str


def read_tokens(path: Path) -> list[Token]:
    """Returns the tokens in a file; raises SecurityError, whose message shows no token."""
    tokens: list[Token] = []
    for number, line in enumerate(_text(path).splitlines(), start=1):
        words = COMMENT.sub("", line).split()
        if not words:
            continue
        if len(words) != 3 or words[0] not in ROLES:
            raise SecurityError(f"{path}:{number}: expected a role ({', '.join(ROLES)}), a name and a token")
        _check_length(words[2], f"{path}:{number}")
        digest = _digest(words[2])
        if any(digest == known.digest for known in tokens):
            raise SecurityError(f"{path}:{number}: the token is already in an earlier line")
        tokens.append(Token(digest, ROLES[ROLES.index(words[0])], words[1]))
    return tokens


def read_token(path: Path) -> list[Token]:
    """Returns the only token in a file, or none if the file is empty. Raises SecurityError, as `read_tokens` does.

    A client such as Prometheus can read the same file. The token has no name but the file's, and the lowest role.
    """
    words = _text(path).split()
    if len(words) > 1:
        raise SecurityError(f"{path}: expected one token and nothing else")
    if words:
        _check_length(words[0], str(path))
    if words and not words[0].isascii():
        raise SecurityError(f"{path}: the token must be ASCII, since HTTP headers are")
    return [Token(_digest(word), ROLES[0], path.name) for word in words]


def _check_length(token: str, place: str) -> None:
    if not MIN_TOKEN_CHARACTERS <= len(token) <= MAX_TOKEN_CHARACTERS:
        raise SecurityError(f"{place}: a token must have {MIN_TOKEN_CHARACTERS} to {MAX_TOKEN_CHARACTERS} characters")


def _text(path: Path) -> str:
    """Returns the text of a regular file: a pipe could make the server wait, and a device never ends."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise SecurityError(f"{path} is not a regular file")
        if found.st_size > MAX_FILE_BYTES:
            raise SecurityError(f"{path} has {found.st_size} bytes; at most {MAX_FILE_BYTES} are allowed")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise SecurityError(f"{path} is not a text in UTF-8") from None
    except OSError as error:
        raise SecurityError(f"{path} cannot be read: {error.strerror}") from None


def _digest(token: str) -> bytes:
    """Returns the digest of a token. All digests have one length, so that timing does not reveal a token's length."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


class AccessTokens:
    """The tokens of a file. Used on the event loop only."""

    def __init__(
        self, path: Path, read: Callable[[Path], list[Token]] = read_tokens, *, flag: str = "--tokens"
    ) -> None:
        """Reads the file with `read`; raises SecurityError, which names the `flag`, without a valid token."""
        self._path = path
        self._read = read
        self._watched = WatchedFiles([path])
        try:
            self._tokens = read(path)
        except SecurityError as error:
            raise SecurityError(f"{flag}: {error}") from None
        if not self._tokens:
            raise SecurityError(f"{flag}: {path} has no tokens: add one, or leave the flag out")
        self._generation = 0
        self._checked_at = time.monotonic()
        self._missing_since: float | None = None

    def generation(self) -> int:
        """Returns a number that grows when the tokens change."""
        self._refresh()
        return self._generation

    def find(self, token: str) -> Token | None:
        """Returns a token of the file, or None if it is unknown. Takes the same time for every token."""
        self._refresh()
        digest = _digest(token)
        found: Token | None = None
        for known in self._tokens:
            if hmac.compare_digest(known.digest, digest):
                found = known
        return found

    def _refresh(self) -> None:
        now, checked_at = time.monotonic(), self._checked_at
        if now - checked_at < CHECK_SECONDS:
            return
        self._checked_at = now
        changed = self._watched.changed()
        if self._watched.missing():
            # It may have been missing since the last check: a removed token must not be valid once more.
            self._missing_since = self._missing_since or checked_at
            if self._tokens and now - self._missing_since >= MISSING_SECONDS:
                log.error("%s is missing: no token is valid", self._path)
                self._put([])
            elif changed:
                message = "%s is missing: the previous tokens stay valid for %g s, then no token is valid"
                log.error(message, self._path, MISSING_SECONDS)
            return
        self._missing_since = None
        if not changed:
            return
        try:
            self._put(self._read(self._path))
        except SecurityError as error:
            log.error("%s; the previous tokens stay valid", error)
            return
        if self._tokens:
            log.info("read %d tokens from %s", len(self._tokens), self._path)
        else:
            log.warning("%s has no tokens: no token is valid", self._path)

    def _put(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._generation += 1
