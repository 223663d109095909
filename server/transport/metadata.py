"""gRPC metadata on the wire: `-bin` values in base64, messages in percent-encoding (PROTOCOL-HTTP2.md)."""

from __future__ import annotations

import base64
import binascii
import functools
import re
from collections.abc import Iterable
from typing import NamedTuple

MetadataLike = Iterable[tuple[str, str | bytes]]
MetadataTuple = tuple[tuple[str, str | bytes], ...]

_UNPRINTABLE = re.compile(rb"[^ -$&-~]")
OURS = ("grpc-status-details-bin", "grpc-retry-pushback-ms")
"""Keys that begin like gRPC's own and are still for methods to set."""

_VALID_NAME = re.compile(r"[0-9a-z_.\-]+")
_VALID_VALUE = re.compile(r"[ -~]*")


class Metadatum(NamedTuple):
    """One entry; the value is `bytes` where the key ends in `-bin`."""

    key: str
    value: str | bytes


def read_metadata(headers: Iterable[tuple[bytes, bytes]]) -> tuple[Metadatum, ...]:
    """Returns headers as metadata: a `-bin` value may be several, which a proxy has joined with commas.

    Raises:
        ValueError: A value is not base64.
    """
    metadata = []
    for name, value in headers:
        key = name.decode("ascii")
        if key.endswith("-bin"):
            metadata += [Metadatum(key, _from_base64(part)) for part in value.split(b",")]
        else:
            metadata.append(Metadatum(key, value.decode("latin-1")))
    return tuple(metadata)


@functools.lru_cache(maxsize=1024)
def write_metadata(metadata: MetadataTuple) -> tuple[tuple[bytes, bytes], ...]:
    """Returns metadata as headers. Kept: an overloaded server refuses thousands of calls with the same few.

    Raises:
        ValueError: A name or value cannot be sent.
    """
    headers = []
    for key, value in metadata:
        if not _VALID_NAME.fullmatch(key) or (key.startswith("grpc-") and key not in OURS):
            raise ValueError(f"metadata cannot have the key {key!r}")
        if key.endswith("-bin"):
            raw = value.encode("utf-8") if isinstance(value, str) else value
            headers.append((key.encode("ascii"), base64.b64encode(raw).rstrip(b"=")))
        else:
            text = value.decode("latin-1") if isinstance(value, bytes) else value
            if not _VALID_VALUE.fullmatch(text):
                raise ValueError(f"the value of {key!r} is not printable ASCII; give the key the ending -bin")
            headers.append((key.encode("ascii"), text.strip().encode("ascii")))
    return tuple(headers)


def percent_encoded(message: str) -> bytes:
    """Returns a status message as `grpc-message` has it: printable ASCII but `%` as it is."""
    raw = message.encode("utf-8", "replace")
    return _UNPRINTABLE.sub(lambda match: b"%%%02X" % match[0][0], raw)


def _from_base64(value: bytes) -> bytes:
    value = value.strip().rstrip(b"=")
    try:
        return binascii.a2b_base64(value + b"=" * (-len(value) % 4), strict_mode=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
