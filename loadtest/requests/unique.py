"""Queries that do not repeat: a number at the end of each, so that no answer comes from the server's cache.

A short number leaves the meaning of a sentence, and costs an encoder few tokens. It lowers recall and nDCG a little.
"""

import secrets
from dataclasses import replace

from loadtest.requests.queries import TEXT_FIELDS, Query

NUMBERS = 1_000_000
"""Different numbers; a query that is sent again gets another one, until all of them were used."""


def first_number() -> int:
    """Returns the number of a run's first query, by chance: a run must not repeat the queries of an earlier one."""
    return secrets.randbelow(NUMBERS)


def made_unique(query: Query, number: int) -> Query:
    """Returns the query with a number of six digits at the end of its text."""
    texts = {name: f"{query.fields[name]} {number % NUMBERS:06}" for name in TEXT_FIELDS if name in query.fields}
    return replace(query, fields={**query.fields, **texts})
