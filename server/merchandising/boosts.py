"""The values that boosts give to documents by their attributes, from 0 to 1.

A number n of 0 or more has the value n / (n + half_value). A time has one half for each half-life that has passed; it
is an ISO 8601 string, in UTC unless it says otherwise, or a number of seconds since 1970. A time to come has 1. A
document with a list has its highest value; one without the attribute, or with a value of another type, has 0.
"""

import functools
from datetime import UTC, datetime
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from server.attributes.column import ColumnView
from server.attributes.columns import ColumnsView
from server.attributes.filter import Kind, kind_of
from server.merchandising.rule import Boost

DAY_SECONDS = 86_400.0

NEVER = -np.inf
"""The time of a string that is none."""


def boost_values(
    boost: Boost, columns: ColumnsView, slots: NDArray[np.int64], *, seconds: float
) -> NDArray[np.float64]:
    """Returns the values `[N]` of the documents in N slots, at a time in seconds since 1970."""
    values = np.zeros(len(slots))
    for kind in get_args(Kind):
        column = columns.columns.get((boost.attribute, kind))
        if column is not None and kind in _kinds(boost):
            entries, places = column.entries_of(slots)
            np.maximum.at(values, places, _values(boost, column, column.values[entries], seconds))
    return values


def _kinds(boost: Boost) -> tuple[Kind, ...]:
    """Returns the types of values that a boost reads."""
    if boost.equals is not None:
        return (kind_of(boost.equals),)
    return ("number",) if boost.half_value is not None else ("number", "string")


def _values(boost: Boost, column: ColumnView, stored: NDArray[Any], seconds: float) -> NDArray[np.float64]:
    """Returns the values of entries, which a column stores so."""
    if boost.equals is not None:
        wanted = column.dictionary.code_of(str(boost.equals)) if column.dictionary else boost.equals
        equal: NDArray[np.float64] = (stored == wanted).astype(np.float64)
        return equal
    if boost.half_value is not None:
        with np.errstate(divide="ignore", over="ignore"):
            shares: NDArray[np.float64] = 1 / (1 + boost.half_value / np.maximum(stored, 0.0))
        return shares
    assert boost.half_life_days is not None, "a boost has one of three kinds"
    if column.dictionary is not None:
        stored = np.array([_time_of(column.dictionary.strings[code]) for code in stored.tolist()], np.float64)
    ages = np.maximum(seconds - stored, 0.0) / DAY_SECONDS
    faded: NDArray[np.float64] = np.exp2(-ages / boost.half_life_days)
    return faded


@functools.lru_cache(maxsize=2**14)
def _time_of(text: str) -> float:
    """Returns the seconds since 1970 of an ISO 8601 string; NEVER if it is none."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return NEVER
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
