"""The plan as bytes, for the worker processes of this machine and of others.

The format is MessagePack, checked against the types of the plan's dataclasses. It is not pickle: a pickle runs code of
its sender's choice.
"""

from dataclasses import replace

import msgspec

from loadtest.errors import AttackError, UsageError
from loadtest.plan import Plan
from loadtest.results.blocks import LARGEST_BYTES


def encode_plan(plan: Plan) -> bytes:
    """Returns the plan with the contents of its certificate files, and without the metrics' token.

    Raises:
        UsageError: The plan cannot be encoded or is too large, or a certificate cannot be read.
    """
    try:
        encoded = msgspec.msgpack.encode(replace(plan, target=plan.target.with_contents(), metrics_token=""))
    except OverflowError:
        raise UsageError(
            "the queries or the payload have a whole number beyond 64 bits: write it as a string"
        ) from None
    except UnicodeEncodeError:
        raise UsageError("the queries or the payload have half of a surrogate pair, which is not a character") from None
    if len(encoded) > LARGEST_BYTES:
        largest = LARGEST_BYTES // 2**20
        raise UsageError(f"the requests take {len(encoded) / 2**20:,.0f} MiB; generators accept at most {largest} MiB")
    return encoded


def decode_plan(encoded: bytes) -> Plan:
    """Returns the plan.

    Raises:
        AttackError: The bytes are not a plan of this version.
    """
    try:
        return msgspec.msgpack.decode(encoded, type=Plan)
    except msgspec.DecodeError as error:
        raise AttackError(f"the generator process does not understand the plan: {error}") from None
