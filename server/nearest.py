"""Finds the known name that a wrong name probably means."""

import difflib
import re
from collections.abc import Iterable
from itertools import islice

LEAST_SIMILARITY = 0.6
"""Least similarity of two names, by difflib, of which one may be a misspelling of the other."""

MOST_NAMES, LONGEST_NAME = 200, 40
"""Further names, and characters of a name, are not compared, since that may take long."""


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Returns the known name that another one means: one of its words, or a similar one; None if there is none."""
    name = name[:LONGEST_NAME]
    names = {each.lower(): each for each in islice(known, MOST_NAMES) if len(each) <= LONGEST_NAME}
    words = re.split(r"[\W_]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())
    for word in (name.lower(), *words):
        if word in names:
            return names[word]
    similar = difflib.get_close_matches(name.lower(), names, n=1, cutoff=LEAST_SIMILARITY)
    return names[similar[0]] if similar else None
