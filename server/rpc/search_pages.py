"""Page tokens of searches: where the next page begins, and for which request.

A token is not secret and not signed. A forged one only names a place in the ranking of its request, or of another text
that could have been the request's, and the number of hits before it is bounded.

The reading of a query depends on the catalogue, which may change. So the token holds it, and all pages search the same.
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
from server.encoding.normalisation import normalised
from server.errors import InvalidRequest, Violation
from server.ranking.options import CANDIDATES, SearchOptions
from server.ranking.position import BURIED, Position
from server.readings.reading import Reading
from server.rpc.interpretations import INTERPRETATION_OF, KIND_OF, interprets

VERSION = 2

DIGEST_BYTES = 8

CONTENT = struct.Struct(f">B{DIGEST_BYTES}s{DIGEST_BYTES}sIIfqBI")
"""Version, digest of the model's revision, digest of the request, then the position: rank, window, score, sequence,
tier, seconds. If the query has a reading, its number in `Interpretation` follows, one byte, and then its text in
UTF-8."""

MOST_READ_BYTES = 2048
"""Most bytes of the text of a reading; none has as many."""

CHECKSUM = struct.Struct(">I")


class Page(NamedTuple):
    """A page after the first: the end of the page before it, and the query's reading on all pages, if it has one."""

    after: Position
    reading: Reading | None


class SearchPages(NamedTuple):
    """The pages of one request to one model, by the digests of both."""

    model: bytes
    request: bytes

    @classmethod
    def of(cls, request: SearchRequest, *, query: str, options: SearchOptions, revision: str) -> Self:
        """Returns the pages of a request with this normalised query and these options."""
        asked = (query, options.mode.value, options.fusion.value, options.min_score)
        switches = (interprets(request), request.ignore_rules)
        content = repr((*asked, *switches)).encode() + request.filter.SerializeToString(deterministic=True)
        return cls(_model_digest(revision), _digest(content))

    def token(self, page: Page) -> str:
        """Returns the token of a page."""
        content = CONTENT.pack(VERSION, self.model, self.request, *page.after)
        if page.reading:
            content += bytes([INTERPRETATION_OF[page.reading.kind]]) + page.reading.text.encode()
        return base64.urlsafe_b64encode(content + CHECKSUM.pack(zlib.crc32(content))).decode().rstrip("=")

    def page(self, token: str, *, field: str, max_hits: int) -> Page:
        """Returns the page of the token in a request's `field`; raises InvalidRequest.

        `max_hits` bounds the hits before the page, and the documents that HYBRID mode takes from each leg.
        """
        read = _read(token)
        problem = ""
        if read is None or not _is_possible(read.page.after, max_hits):
            problem = "is not a token of this service"
        elif read.pages.request != self.request:
            problem = "belongs to another query, mode, filter, min_score, fusion, interpret or ignore_rules"
        elif read.pages.model != self.model:
            problem = "belongs to another model, since the server has changed its model"
        if read is None or problem:
            raise InvalidRequest([Violation(field, f"{problem}: start with the first page")])
        return read.page


class _Token(NamedTuple):
    pages: SearchPages
    page: Page


def _read(token: str) -> _Token | None:
    """Returns the content of a token; None if it is damaged, or of another version."""
    try:
        read = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeError):
        return None
    content = read[: -CHECKSUM.size]
    if len(content) < CONTENT.size or read[-CHECKSUM.size :] != CHECKSUM.pack(zlib.crc32(content)):
        return None
    version, model, request, *position = CONTENT.unpack(content[: CONTENT.size])
    try:
        reading = _reading(content[CONTENT.size :])
    except ValueError:
        return None
    page = Page(Position(*position), reading)
    return _Token(SearchPages(model, request), page) if version == VERSION else None


def _reading(content: bytes) -> Reading | None:
    """Returns the reading at the end of a token; raises ValueError if it cannot be one."""
    if not content:
        return None
    number, text = content[0], content[1:].decode()
    if number not in KIND_OF or not text or text != normalised(text) or len(content) > MOST_READ_BYTES:
        raise ValueError("not a reading")
    return Reading(text, KIND_OF[number])


def _is_possible(position: Position, max_hits: int) -> bool:
    return (
        1 <= position.rank < max_hits
        and CANDIDATES <= position.window <= max(CANDIDATES, max_hits)
        and math.isfinite(position.score)
        and position.tier <= BURIED
    )


@functools.lru_cache(maxsize=4)
def _model_digest(revision: str) -> bytes:
    return _digest(revision.encode())


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=DIGEST_BYTES).digest()
