"""Finds and measures what feedback teaches; `server.writing.learning` runs this program beside the server.

    python -m server.feedback.process FOLDER

The variable `TASK` is a `Task` as JSON, since others can see arguments; FOLDER is an empty folder for temporary files,
and the output a `Studied`. A separate process
does not hold the server's GIL, and can be ended at any time. It ends with its parent, and changes nothing.
"""

import contextlib
import os
import sys
from pathlib import Path
from typing import NamedTuple

import msgspec

from server.catalogue.document import Field
from server.catalogue.location import parse_location
from server.catalogue.store import Store
from server.child import begin_child
from server.encoding.bundle import Bundle
from server.encoding.cutting import Cutting
from server.errors import ChajaError, LearningFailed, first_line
from server.feedback.learning import Learner, Lesson, Measured
from server.feedback.policy import Policy

NICENESS = 19

TASK = "CHAJA_STUDY_TASK"
"""The variable with the task."""


class Task(NamedTuple):
    """The input of a study.

    Attributes:
        data: The directory or the URL of the store.
        bundle: The directory of the bundle.
        revision: The revision that serves.
        weights: The factors of fields that replace the bundle's.
        cutting: How texts are cut into passages.
    """

    data: str
    bundle: str
    revision: str
    weights: dict[Field, float]
    cutting: Cutting


class Studied(NamedTuple):
    """The lesson of some feedback, and R@1 before and after."""

    lesson: Lesson
    measured: Measured


def study(task: Task, *, folder: Path) -> Studied:
    """Returns what the feedback of a store teaches. Blocks; uses temporary files in `folder`.

    Raises StoreError, BundleError, or LearningFailed if the bundle is not the one that serves.
    """
    with contextlib.closing(Store(parse_location(task.data), serving=False)) as store:
        bundle = Bundle(Path(task.bundle), cutting=task.cutting)
        if (found := bundle.manifest.revision) != task.revision:
            raise LearningFailed(f"{task.bundle} has revision {found}, but {task.revision} serves: reload first")
        bundle.verify()
        learner = Learner(store, bundle, Policy(), folder=folder, weights=task.weights, threads=1)
        with contextlib.closing(learner):
            return Studied(learner.lesson(), learner.measure())


def main() -> int:
    """Studies the feedback; prints the result, or the error. Returns the exit code."""
    begin_child(NICENESS)
    try:
        found = study(msgspec.json.decode(os.environ[TASK], type=Task), folder=Path(sys.argv[1]))
    except (ChajaError, OSError) as error:
        print(first_line(error), file=sys.stderr)
        return 1
    sys.stdout.buffer.write(msgspec.json.encode(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
