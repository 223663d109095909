"""Pages of lists: what fits on one, and its token, which holds the last id before it and a checksum of the list."""

import base64
import binascii
import zlib
from collections.abc import Iterable
from typing import TypeVar

from google.protobuf.message import Message

from server.errors import InvalidRequest, Violation
from server.rpc.limits import RESERVED_BYTES
from server.rpc.wire import ELEMENT_BYTES

CHECK_BYTES = 4

PAGE_BYTES = 2 * 1024 * 1024
"""Maximum size of a page, unless its first element is larger."""

Element = TypeVar("Element", bound=Message)


def fitting(elements: Iterable[Element], *, max_response_bytes: int) -> list[Element]:
    """Returns the first elements that fit on a page, at least one if there is one."""
    left_bytes = min(PAGE_BYTES, max_response_bytes - RESERVED_BYTES)
    page: list[Element] = []
    for each in elements:
        left_bytes -= each.ByteSize() + ELEMENT_BYTES
        if left_bytes < 0 and page:
            break
        page.append(each)
    return page


def page_token(last_id: str, listed: Message) -> str:
    """Returns the token of the page after an id. `listed` is what all pages ask for: a filter, or an empty request."""
    return base64.urlsafe_b64encode(_check(listed) + last_id.encode()).decode()


def id_before(token: str, listed: Message) -> str:
    """Returns the id after which a page begins, `""` for the first; raises InvalidRequest if the token is wrong."""
    if not token:
        return ""
    try:
        content = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
        check, last_id = content[:CHECK_BYTES], content[CHECK_BYTES:].decode()
    except (binascii.Error, UnicodeError):
        check, last_id = b"", ""
    if not last_id:
        raise InvalidRequest([Violation("page_token", "is not a token of this service: start with the first page")])
    if check != _check(listed):
        raise InvalidRequest([Violation("page_token", "belongs to another list or filter: start with the first page")])
    return last_id


def _check(listed: Message) -> bytes:
    name = listed.DESCRIPTOR.full_name.encode()
    return zlib.crc32(name + listed.SerializeToString(deterministic=True)).to_bytes(CHECK_BYTES, "big")
