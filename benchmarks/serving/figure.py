"""A measured figure and the target that it must reach."""

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One figure, measured once in each repeat.

    Attributes:
        name: Its name.
        values: One value for each repeat.
        written: Format of a value, as in `{:.2f} ms`.
        at_least: Lower bound of the median, if there is one.
        at_most: Upper bound of the median, if there is one.
        note: Conditions of the measurement that the name does not state.
    """

    name: str
    values: Sequence[float]
    written: str = "{:,.1f}"
    _: KW_ONLY
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""

    @property
    def median(self) -> float:
        """The median of the repeats."""
        return statistics.median(self.values)

    @property
    def missed(self) -> bool:
        """Whether the median misses its target; NaN misses every target."""
        low, high = self.at_least, self.at_most
        return (low is not None and not self.median >= low) or (high is not None and not self.median <= high)

    @property
    def target(self) -> str:
        """The target in words; empty without one."""
        if self.at_least is not None:
            return f"at least {self.written.format(self.at_least)}"
        return "" if self.at_most is None else f"at most {self.written.format(self.at_most)}"

    def __str__(self) -> str:
        each = ", ".join(self.written.partition("}")[0].join(("", "}")).format(value).strip() for value in self.values)
        line = f"  {self.name}: {self.written.format(self.median)}"
        if self.target:
            line += f" ({self.target}: {'MISSED' if self.missed else 'reached'})"
        if len(self.values) > 1:
            line += f"; each: {each}"
        return f"{line}; {self.note}" if self.note else line

    def described(self) -> dict[str, Any]:
        """Returns the figure as the JSON file holds it."""
        targets = {"at_least": self.at_least, "at_most": self.at_most, "missed": self.missed} if self.target else {}
        return {"name": self.name, "median": self.median, "values": list(self.values), "note": self.note, **targets}


def report(figures: Iterable[Figure], *, environment: Mapping[str, Any], file: Path | None) -> int:
    """Prints each figure once it is measured, then the missed targets, and writes all to a JSON file if one is given.

    Returns the exit code: 1 if a target was missed.
    """
    measured = []
    for figure in figures:
        print(figure, flush=True)
        measured.append(figure)
    missed = [figure.name for figure in measured if figure.missed]
    print(f"\n{len(missed)} targets missed: {'; '.join(missed)}" if missed else "\nevery target was reached")
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        document = {"environment": environment, "figures": [figure.described() for figure in measured]}
        file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 1 if missed else 0
