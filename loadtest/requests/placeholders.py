"""The functions that a placeholder may call, such as `{{number}}` or `{{random_int 1 5}}`.

Random values depend on the seed and on the request's number alone: every run with the same seed sends the same
requests, however many processes share them.
"""

import base64
import datetime
import hashlib
import math
import string
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

LONGEST = 1_000_000
"""Most characters or bytes of a random value."""

LETTERS = string.ascii_letters + string.digits
CLOCKS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}

Call = Callable[["Draws"], Any]


class Draws:
    """The random values of one request, one after another.

    Attributes:
        number: The request's number.
    """

    def __init__(self, seed: int, number: int, *, stream: int = 0) -> None:
        self.number = number
        self._seed = f"{seed} {stream}"
        self._drawn = 0

    def octets(self, size: int) -> bytes:
        """Returns the next random bytes."""
        self._drawn += 1
        return hashlib.shake_128(f"{self._seed} {self.number} {self._drawn}".encode()).digest(size)

    def below(self, count: int) -> int:
        """Returns a random whole number from 0 to `count - 1`."""
        return int.from_bytes(self.octets(8 + count.bit_length() // 8)) % count

    def share(self) -> float:
        """Returns a random number from 0 to 1, without 1."""
        return (int.from_bytes(self.octets(8)) >> 11) / 2**53


@dataclass(frozen=True)
class Function:
    """A function of placeholders.

    Attributes:
        usage: Its name and arguments.
        meaning: Its value, for the documentation.
        make: Returns the function for given arguments; raises ValueError if they are wrong.
    """

    usage: str
    meaning: str
    make: Callable[..., Call]


def _number() -> Call:
    return lambda draws: draws.number


def _uuid() -> Call:
    return lambda draws: str(uuid.UUID(bytes=draws.octets(16), version=4))


def _random_int(lowest: str, highest: str) -> Call:
    low, high = int(lowest), int(highest)
    if low > high:
        raise ValueError
    return lambda draws: low + draws.below(high - low + 1)


def _random_float(lowest: str, highest: str) -> Call:
    low, high = float(lowest), float(highest)
    if not (low <= high and math.isfinite(high - low)):
        raise ValueError
    return lambda draws: low + (high - low) * draws.share()


def _random_string(length: str) -> Call:
    count = _length(length)

    def text(draws: Draws) -> str:
        octets = draws.octets(2 * count)
        return "".join([LETTERS[int.from_bytes(octets[at : at + 2]) % len(LETTERS)] for at in range(0, 2 * count, 2)])

    return text


def _random_bytes(size: str) -> Call:
    count = _length(size)
    return lambda draws: base64.b64encode(draws.octets(count)).decode()


def _random_choice(*values: str) -> Call:
    if not values:
        raise ValueError
    return lambda draws: values[draws.below(len(values))]


def _now(unit: str = "") -> Call:
    if not unit:
        return lambda draws: datetime.datetime.now(datetime.UTC).isoformat().replace("+00:00", "Z")
    if unit not in CLOCKS:
        raise ValueError
    return lambda draws: time.time_ns() // CLOCKS[unit]


def _length(text: str) -> int:
    if not 0 < (length := int(text)) <= LONGEST:
        raise ValueError
    return length


FUNCTIONS = {
    each.usage.split()[0]: each
    for each in (
        Function("number", "the request's number, from 0", _number),
        Function("uuid", "a random UUID", _uuid),
        Function(
            "now",
            "the time in RFC 3339; as a Unix time with a unit: `{{now s}}`, `{{now ms}}`, `{{now us}}`, `{{now ns}}`",
            _now,
        ),
        Function("random_int LOWEST HIGHEST", "a random whole number; both ends are possible", _random_int),
        Function("random_float LOWEST HIGHEST", "a random number", _random_float),
        Function("random_string LENGTH", "random letters and digits", _random_string),
        Function("random_bytes SIZE", "random bytes in base64, for a field of bytes or a `-bin` header", _random_bytes),
        Function("random_choice A B …", "one of the words", _random_choice),
    )
}
"""The functions by name."""


def function_of(name: str, arguments: Sequence[str]) -> Call | None:
    """Returns a function with its arguments; `None` if there is no such function.

    Raises:
        ValueError: The arguments are wrong; the message says how to call the function.
    """
    function = FUNCTIONS.get(name)
    if function is None:
        return None
    try:
        return function.make(*arguments)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"write {{{{{function.usage}}}}}") from None
