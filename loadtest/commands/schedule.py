"""Flags for the load, and the schedule that they make."""

import argparse
import math
import re
from pathlib import Path

from loadtest.commands.options import duration
from loadtest.errors import UsageError
from loadtest.requests.queries import read_timestamps
from loadtest.schedule import Schedule, constant, profile, ramp, replay, step

SCHEDULES = ("constant", "poisson", "ramp", "step", "replay")
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?:([\d.]+[a-z][\d.a-z]*)\s*")


def profile_parts(text: str) -> list[tuple[float, float, float]]:
    """Returns the parts of a profile such as `10-100:30s,100:2m`: a first rate, a last rate and seconds of each."""
    parts = []
    for part in text.split(","):
        found = _PART.fullmatch(part)
        if found is None:
            raise argparse.ArgumentTypeError(f"{part!r} is not a rate with a duration; write, for example, 10-100:1m")
        parts.append((float(found[1]), float(found[2] or found[1]), duration(found[3])))
    return parts


def add_schedule_options(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the load."""
    add = parser.add_argument_group("the load").add_argument
    add("--rate", type=float, metavar="R", help="open loop: send this many requests a second")
    add("--in-flight", type=int, metavar="N", help="closed loop: keep this many calls in flight; replaces --rate")
    add("--schedule", choices=SCHEDULES, default="constant", help="schedule of the open loop (default: constant)")
    add("--rate-to", type=float, metavar="R", help="rate at the end of a ramp or of the last step")
    add("--steps", type=int, default=5, metavar="N", help="steps of --schedule step (default: 5)")
    parts = "rates and their durations: '10-100:30s,100:2m,100-10:30s' climbs, holds and falls; replaces --rate"
    add("--profile", type=profile_parts, metavar="LIST", help=parts)
    times = "times of a replay: one per line, or rows with `timestamp` (default: the --queries file)"
    add("--timestamps", type=Path, metavar="FILE", help=times)
    add("--replay-speed", type=float, default=1.0, metavar="X", help="speed of a replay; 1 is as recorded (default: 1)")
    add("--duration", type=duration, metavar="DURATION", help="length of the measured part, such as 30s")
    add("--count", type=int, metavar="N", help="end the measured part after this many requests")


def make_schedule(options: argparse.Namespace) -> Schedule | None:
    """Returns the schedule of the flags; `None` for a closed loop.

    Raises:
        UsageError: Flags contradict each other.
    """
    if options.timestamps is not None and options.schedule != "replay":
        raise UsageError("--timestamps needs --schedule replay")
    if options.in_flight is not None:
        _check_closed(options)
        return None
    if options.profile is not None:
        return _profile(options)
    if options.rate_to is not None and options.schedule not in ("ramp", "step"):
        raise UsageError("--rate-to needs --schedule ramp or step")
    if options.schedule == "replay":
        if options.rate is not None:
            raise UsageError("a replay takes its rate from its timestamps: remove --rate")
        file = options.timestamps or options.queries
        if file is None:
            raise UsageError("a replay needs --timestamps, or --queries with timestamps")
        return replay(read_timestamps(file), speed=options.replay_speed)
    if options.rate is None:
        raise UsageError("give --rate or --profile (open loop), or --in-flight (closed loop)")
    if options.schedule in ("ramp", "step"):
        if options.rate_to is None or options.duration is None:
            raise UsageError(f"a {options.schedule} needs --rate-to and --duration")
        if options.schedule == "ramp":
            return ramp(options.rate, options.rate_to, seconds=options.duration, warm_up_seconds=options.warm_up)
        steps, warm_up = options.steps, options.warm_up
        return step(options.rate, options.rate_to, steps=steps, seconds=options.duration, warm_up_seconds=warm_up)
    return constant(
        options.rate,
        seconds=options.duration or math.inf,
        warm_up_seconds=options.warm_up,
        poisson=options.schedule == "poisson",
        seed=options.seed,
    )


def measured_seconds(options: argparse.Namespace, schedule: Schedule | None) -> float:
    """Returns the length of the measured part in seconds; infinite if only a count ends it."""
    if schedule is not None and schedule.timestamps:
        # The measured part includes the last timestamp.
        return min(options.duration or math.inf, math.nextafter(schedule.seconds, math.inf) or 1e-9)
    if options.profile is not None and schedule is not None:
        return schedule.seconds
    return math.inf if options.duration is None else float(options.duration)


def _check_closed(options: argparse.Namespace) -> None:
    if options.rate is not None:
        raise UsageError("--rate is for an open loop and --in-flight for a closed loop: give one of them")
    if options.schedule != "constant" or options.rate_to is not None or options.profile is not None:
        raise UsageError("a closed loop has no schedule: remove --schedule, --rate-to and --profile")


def _profile(options: argparse.Namespace) -> Schedule:
    """Returns the schedule of `--profile`."""
    if options.rate is not None or options.rate_to is not None or options.duration is not None:
        raise UsageError("a profile has its rates and durations: remove --rate, --rate-to and --duration")
    if options.schedule not in ("constant", "poisson"):
        raise UsageError(f"a profile replaces --schedule {options.schedule}: remove one of them")
    poisson = options.schedule == "poisson"
    return profile(options.profile, warm_up_seconds=options.warm_up, poisson=poisson, seed=options.seed)
