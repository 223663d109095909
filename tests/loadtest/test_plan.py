import json
import math
from typing import Any

import pytest

from loadtest.errors import UsageError
from loadtest.plan import Call, Plan
from loadtest.requests.method import Method
from loadtest.requests.queries import Query
from loadtest.results.record import MOST_PROCESSES
from loadtest.schedule import constant, ramp
from loadtest.target import Target

TARGET = Target(address="127.0.0.1:1", headers=(("x-key", "hidden"),), token="hidden")
QUERIES = (Query("0", {"query": "hidden"}),)


def make(method: Method, **changes: Any) -> Plan:
    given: dict[str, Any] = {"calls": (Call(method=method),), "queries": QUERIES}
    given |= {"schedule": constant(10, seconds=5), "seconds": 5.0}
    return Plan(target=TARGET, **(given | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"calls": ()}, "at least one call"),
        ({"queries": ()}, "no queries"),
        ({"schedule": None}, "open loop"),
        ({"in_flight": 5}, "open loop"),
        ({"seconds": math.inf}, "needs an end"),
        ({"seconds": 0.0}, "duration"),
        ({"seconds": math.nan}, "duration"),
        ({"count": 0}, "count"),
        ({"warm_up_seconds": -1.0}, "warm-up"),
        ({"warm_up_seconds": math.inf}, "warm-up"),
        ({"warm_up_seconds": math.nan}, "warm-up"),
        ({"deadline_seconds": 0.0}, "deadline"),
        ({"deadline_seconds": math.inf}, "deadline"),
        ({"interval_seconds": -1.0}, "message-interval"),
        ({"interval_seconds": 1.0}, "needs a method that takes a stream"),
        ({"stream_seconds": 0.0}, "stream-duration"),
        ({"stream_seconds": math.nan}, "stream-duration"),
        ({"stream_seconds": 5.0}, "takes or returns a stream"),
        ({"late_seconds": -0.1}, "late"),
        ({"late_seconds": math.nan}, "late"),
        ({"late_seconds": math.inf}, "late"),
        ({"max_in_flight": 3, "processes": 4}, "each process needs"),
        ({"processes": 0}, "from 1 to"),
        ({"processes": MOST_PROCESSES + 1}, "from 1 to"),
        ({"schedule": None, "in_flight": 1, "processes": 2}, "closed loop"),
        ({"zipf_exponent": math.nan}, "Zipf"),
        ({"zipf_exponent": -1.0}, "Zipf"),
        ({"seed": -1}, "seed"),
        ({"quality_at": 0}, "recall"),
    ],
)
def test_an_invalid_plan_is_rejected(method: Method, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make(method, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        *(({"weight": weight}, "the weight of Search") for weight in (0.0, math.nan, math.inf)),
        ({"queries_per_call": 0}, "from 1 to 100,000 queries"),
        ({"queries_per_call": 10**20}, "from 1 to 100,000 queries"),
    ],
)
def test_an_invalid_call_is_rejected(method: Method, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Call(method=method, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"schedule": None, "in_flight": 4, "processes": 4},
        {"seconds": math.inf, "count": 7, "schedule": constant(1)},
        {"schedule": ramp(1, 2, seconds=5)},
    ],
)
def test_the_stored_plan_is_json_without_secrets(method: Method, changes: dict[str, Any]) -> None:
    described = make(method, **changes).described()
    written = json.dumps(described, allow_nan=False)
    assert json.loads(written) == described
    assert "hidden" not in written


def test_an_open_loop_is_described_by_its_rates(method: Method) -> None:
    described = make(method, seconds=math.inf, count=3, schedule=constant(5, poisson=True)).described()
    assert described["loop"] == "open"
    assert described["schedule"] == "poisson"
    assert described["rates"] == [[None, 5, 5]]
    assert described["seconds"] is None
    assert described["count"] == 3


def test_a_closed_loop_is_described_by_its_calls_in_flight(method: Method) -> None:
    described = make(method, schedule=None, in_flight=4).described()
    assert (described["loop"], described["in_flight"]) == ("closed", 4)
    assert "schedule" not in described
