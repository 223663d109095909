"""Page tokens of searches: where the next page begins, and for which request.

A token is not secret and not signed. A forged one only names a place in the ranking of its request, and the number
of hits before it is bounded.
"""

import base64
import binascii
import functools
import math
import struct
import zlib
from hashlib import blake2b
from typing import NamedTuple, Self

from chaja.v1 import SearchRequest
from server.errors import InvalidRequest, Violation
from server.ranking.options import CANDIDATES, SearchOptions
from server.ranking.position import Position

VERSION = 1

DIGEST_BYTES = 8

CONTENT = struct.Struct(f">B{DIGEST_BYTES}s{DIGEST_BYTES}sIIfq")
"""Version, digest of the model's revision, digest of the request, rank, window, score, sequence."""

CHECKSUM = struct.Struct(">I")


class SearchPages(NamedTuple):
    """The pages of one request to one model, by the digests of both."""

    model: bytes
    request: bytes

    @classmethod
    def of(cls, request: SearchRequest, *, query: str, options: SearchOptions, revision: str) -> Self:
        """Returns the pages of a request with this normalised query and these options."""
        asked = repr((query, options.mode.value, options.fusion.value, options.min_score)).encode()
        return cls(_model_digest(revision), _digest(asked + request.filter.SerializeToString(deterministic=True)))

    def token(self, end: Position) -> str:
        """Returns the token of the page after a position."""
        content = CONTENT.pack(VERSION, self.model, self.request, *end)
        return base64.urlsafe_b64encode(content + CHECKSUM.pack(zlib.crc32(content))).decode().rstrip("=")

    def position(self, token: str, *, field: str, max_hits: int) -> Position:
        """Returns the position in the token of a request's `field`; raises InvalidRequest.

        `max_hits` bounds the hits before the page, and the documents that HYBRID mode takes from each leg.
        """
        read = _read(token)
        problem = ""
        if read is None or not _is_possible(read.position, max_hits):
            problem = "is not a token of this service"
        elif read.pages.request != self.request:
            problem = "belongs to another query, mode, filter, min_score or fusion"
        elif read.pages.model != self.model:
            problem = "belongs to another model, since the server has changed its model"
        if read is None or problem:
            raise InvalidRequest([Violation(field, f"{problem}: start with the first page")])
        return read.position


class _Token(NamedTuple):
    pages: SearchPages
    position: Position


def _read(token: str) -> _Token | None:
    """Returns the content of a token; None if it is damaged, or of another version."""
    try:
        read = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeError):
        return None
    content = read[: -CHECKSUM.size]
    if len(content) != CONTENT.size or read[-CHECKSUM.size :] != CHECKSUM.pack(zlib.crc32(content)):
        return None
    version, model, request, *position = CONTENT.unpack(content)
    return _Token(SearchPages(model, request), Position(*position)) if version == VERSION else None


def _is_possible(position: Position, max_hits: int) -> bool:
    return (
        1 <= position.rank < max_hits
        and CANDIDATES <= position.window <= max(CANDIDATES, max_hits)
        and math.isfinite(position.score)
    )


@functools.lru_cache(maxsize=4)
def _model_digest(revision: str) -> bytes:
    return _digest(revision.encode())


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=DIGEST_BYTES).digest()
