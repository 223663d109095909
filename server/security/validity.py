"""The end of a certificate's validity, read from its DER: Python's ssl module has it only for verified peers.

Certificate ::= SEQUENCE { tbsCertificate SEQUENCE { version [0] OPTIONAL, serialNumber, signature, issuer,
validity SEQUENCE { notBefore, notAfter }, … }, … }                    (RFC 5280, 4.1)
"""

import calendar
import time
from typing import NamedTuple

SEQUENCE, VERSION, UTC_TIME = 0x30, 0xA0, 0x17


class Element(NamedTuple):
    """An element of DER: its tag, its content, and the bytes after it."""

    tag: int
    content: bytes
    rest: bytes


def not_after_seconds(certificate: bytes) -> int:
    """Returns the Unix time at which a certificate in DER expires; raises ValueError if it is none."""
    fields = _element(_element(certificate, SEQUENCE).content, SEQUENCE).content
    if fields[:1] == bytes([VERSION]):
        fields = _element(fields).rest
    for _ in ("serialNumber", "signature", "issuer"):
        fields = _element(fields).rest
    tag, content, _ = _element(_element(_element(fields, SEQUENCE).content).rest)
    text = content.decode("ascii")
    if tag == UTC_TIME:  # It has two digits of the year (RFC 5280, 4.1.2.5.1).
        text = f"{19 if text >= '50' else 20}{text}"
    return calendar.timegm(time.strptime(text, "%Y%m%d%H%M%SZ"))


def _element(data: bytes, tag: int | None = None) -> Element:
    """Returns the first element; raises ValueError unless it is whole and has the tag."""
    if len(data) < 2 or tag not in (None, data[0]):
        raise ValueError("the certificate is not valid DER")
    length, begin = data[1], 2
    if length & 0x80:  # The length of the length.
        begin += length & 0x7F
        length = int.from_bytes(data[2:begin], "big")
    if begin + length > len(data):
        raise ValueError("the certificate is not valid DER")
    return Element(data[0], data[begin : begin + length], data[begin + length :])
