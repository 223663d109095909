"""The progress of a load, for the status page."""

from typing import NamedTuple


class Step(NamedTuple):
    """One step of a load. `total` is 0 if it is unknown."""

    activity: str = ""
    done: int = 0
    total: int = 0


class Progress:
    """The present step. One thread at a time changes it; any thread may read it."""

    def __init__(self) -> None:
        self.step = Step()

    def begin(self, activity: str, *, total: int = 0) -> None:
        """Begins a step, such as "importing documents"."""
        self.step = Step(activity, 0, total)

    def advance(self, done: int) -> None:
        """Sets how much of the step is done."""
        self.step = self.step._replace(done=done)
