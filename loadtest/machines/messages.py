"""The messages between the coordinator and a generator machine, on one stream of the method `PATH`.

The machine describes itself first. The coordinator then sends the plan in parts, the numbers of the processes, and
the start time; the machine sends the processes' blocks. Pings, once a second and more often to compare the clocks, show
both sides that the other is alive.
"""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from chaja import __version__

PATH = "/chaja.loadtest.v1.Worker/Run"

PART_BYTES = 256 * 1024
"""Size of a part of the plan. gRPC's usual limit of a message, 4 MiB, bounds what strangers can send."""

BEAT_SECONDS = 1.0
SILENT_SECONDS = 10.0
"""After this time without any message, a side gives the other up."""


class Message(msgspec.Struct, tag=True, array_like=True):
    """A message of either side."""


class Part(Message):
    """Some bytes of the encoded plan."""

    data: bytes


class Begin(Message):
    """All parts of the plan were sent: start the processes with these numbers."""

    numbers: list[int]


class Start(Message):
    """The start time, by the machine's clock."""

    start_ns: int


class Stop(Message):
    """Stop sending load; answers still count."""


class Ping(Message):
    """Shows that the coordinator is alive, and asks for a `Pong`."""

    number: int


class Described(Message):
    """The machine, and its load tester."""

    version: str
    sources: str
    environment: dict[str, Any]


class Delivered(Message):
    """A block of a process, or its exit if `kind` is 0."""

    number: int
    kind: int
    payload: bytes


class Pong(Message):
    """The answer to a `Ping`: when it was received, and when this left, by the machine's clock."""

    number: int
    received_ns: int
    replied_ns: int


ToMachine = Part | Begin | Start | Stop | Ping
ToCoordinator = Described | Delivered | Pong

encode = msgspec.msgpack.encode
decode_order = msgspec.msgpack.Decoder(ToMachine).decode
decode_report = msgspec.msgpack.Decoder(ToCoordinator).decode


@cache
def sources_digest() -> str:
    """Returns a digest of this package's source files: two versions under development may have the same number."""
    folder = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def own_version() -> tuple[str, str]:
    """Returns the version of this load tester, and the digest of its sources."""
    return __version__, sources_digest()
