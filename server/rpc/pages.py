"""Where a page of ListDocuments begins: a token that holds the id in front of it, and what was filtered by."""

import base64
import binascii
import zlib

from chaja.v1 import Filter as FilterMessage
from server.errors import InvalidRequest, Violation

CHECK_BYTES = 4


def page_token(last_id: str, filter: FilterMessage) -> str:
    """Returns the token of the page behind a document."""
    return base64.urlsafe_b64encode(_check(filter) + last_id.encode()).decode()


def id_before(token: str, filter: FilterMessage) -> str:
    """Returns the id that a page begins behind; `""` for the first page.

    Raises:
        InvalidRequest: The token is none of ours, or was given for another filter.
    """
    if not token:
        return ""
    try:
        content = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
        check, last_id = content[:CHECK_BYTES], content[CHECK_BYTES:].decode()
    except (binascii.Error, UnicodeError):
        check, last_id = b"", ""
    if not last_id:
        raise InvalidRequest([Violation("page_token", "is no token that a server gave: begin with the first page")])
    if check != _check(filter):
        raise InvalidRequest([Violation("page_token", "was given for another filter: begin with the first page")])
    return last_id


def _check(filter: FilterMessage) -> bytes:
    return zlib.crc32(filter.SerializeToString(deterministic=True)).to_bytes(CHECK_BYTES, "big")
