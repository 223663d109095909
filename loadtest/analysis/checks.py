"""The checks on the answers of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from loadtest.results.file import Records


@dataclass
class Checks:
    """Counts of checked answers. Only successes are checked: every other call has failed anyway.

    Attributes:
        answers: Answers that were checked.
        failed: Answers that failed at least one check.
        each: Checked and failed answers of each check, by its expression.
    """

    answers: int = 0
    failed: int = 0
    each: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, records: Records, expressions: Sequence[str]) -> None:
        """Counts successes of a call with these checks."""
        if not expressions:
            return
        failed = records["failed_checks"]
        self.answers += len(records)
        self.failed += int(np.count_nonzero(failed))
        for place, expression in enumerate(expressions):
            self._count(expression, len(records), int(np.count_nonzero(failed & np.uint32(1 << place))))

    def merge(self, other: Checks) -> None:
        """Adds the counts of other checks."""
        self.answers += other.answers
        self.failed += other.failed
        for expression, (answers, failed) in other.each.items():
            self._count(expression, answers, failed)

    def _count(self, expression: str, answers: int, failed: int) -> None:
        before = self.each.get(expression, (0, 0))
        self.each[expression] = (before[0] + answers, before[1] + failed)
