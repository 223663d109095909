"""A server that stalls for a second: an open loop shows it, a closed loop does not."""

from pathlib import Path

import pytest

from loadtest.analysis.summary import summarize
from loadtest.schedule import constant
from tests.loadtest.integration.attacks import make_plan, run_attack
from tests.loadtest.pretend_server import pretend_server

pytestmark = pytest.mark.alone

SECONDS, RATE = 6, 500


def test_an_open_loop_shows_a_stall_that_a_closed_loop_hides(tmp_path: Path) -> None:
    with pretend_server(stall=1, stall_after=3) as address:
        plan = make_plan(address, schedule=constant(RATE, seconds=SECONDS), seconds=SECONDS)
        run_attack(tmp_path / "open.bin", plan)
    with pretend_server(stall=1, stall_after=3) as address:
        run_attack(tmp_path / "closed.bin", make_plan(address, in_flight=10, seconds=SECONDS))
    opened, closed = (summarize([tmp_path / f"{loop}.bin"]).total.ok for loop in ("open", "closed"))
    print(f"p99: open {opened.latency.percentile(99):.3f} s, closed {closed.latency.percentile(99):.3f} s")
    assert opened.count == SECONDS * RATE
    assert opened.latency.percentile(99) >= 0.750
    assert closed.latency.percentile(99) < 0.100
    assert closed.latency.percentile(100) > 0.9  # The stall happened: ten calls waited for it.
