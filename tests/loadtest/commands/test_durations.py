import argparse

import pytest

from loadtest.commands.attack import add_parser
from loadtest.commands.options import duration
from loadtest.commands.schedule import make_schedule


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("20s", 20),
        ("500ms", 0.5),
        ("2m", 120),
        ("1.5h", 5400),
        ("7", 7),
        ("1m30s", 90),
        ("2h45m1.5s", 9901.5),
        ("250us", 0.00025),
    ],
)
def test_durations_are_read_in_every_unit(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "1x", "1m30", "-1s", "1 s", "1ms2", ".5s"])
def test_other_texts_are_no_durations(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a duration; write, for example,"):
        duration(text)


def test_a_profile_takes_the_same_durations() -> None:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    options = parser.parse_args(["attack", "x:1", "--profile", "10-100:1m30s,100:250ms"])
    schedule = make_schedule(options)
    assert schedule is not None
    assert schedule.seconds == pytest.approx(90.25)
