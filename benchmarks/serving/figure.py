"""A measured figure beside the bar that it must reach."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure, measured in each repeat.

    Attributes:
        name: What it is.
        values: One for each repeat.
        written: How a value is written, as in `{:.2f} ms`.
        at_least: The median must not be below; `None` for no such bar.
        at_most: The median must not be above; `None` for no such bar.
        note: How it was measured, where the name does not say it.
    """

    name: str
    values: tuple[float, ...]
    written: str = "{:,.1f}"
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""

    @property
    def median(self) -> float:
        """The median of the repeats."""
        return statistics.median(self.values)

    @property
    def missed(self) -> bool:
        """Whether there is a bar that the median does not reach; NaN reaches none."""
        low, high = self.at_least, self.at_most
        return (low is not None and not self.median >= low) or (high is not None and not self.median <= high)

    @property
    def bar(self) -> str:
        """The bar in words; empty without one."""
        if self.at_least is not None:
            return f"at least {self.written.format(self.at_least)}"
        return "" if self.at_most is None else f"at most {self.written.format(self.at_most)}"

    def __str__(self) -> str:
        each = ", ".join(self.written.partition("}")[0].join(("", "}")).format(value).strip() for value in self.values)
        line = f"  {self.name}: {self.written.format(self.median)}"
        if self.bar:
            line += f" ({self.bar}: {'MISSED' if self.missed else 'reached'})"
        if len(self.values) > 1:
            line += f"; each: {each}"
        return f"{line}; {self.note}" if self.note else line

    def described(self) -> dict[str, Any]:
        """Returns what the JSON file keeps of it."""
        bars = {"at_least": self.at_least, "at_most": self.at_most, "missed": self.missed} if self.bar else {}
        return {"name": self.name, "median": self.median, "values": list(self.values), "note": self.note, **bars}
