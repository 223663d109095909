"""The queries of the benchmark, in an order in which any stretch of them stands for all."""

import random
from pathlib import Path

from loadtest.requests.queries import Query, read_queries

SEED = 7


def shuffled_queries(path: Path) -> tuple[Query, ...]:
    """Returns the queries of a file, always in the same shuffled order: files are often sorted by subject or length."""
    queries = [Query(each.id, {"query": each.text}) for each in read_queries(path) if each.text.strip()]
    random.Random(SEED).shuffle(queries)
    return tuple(queries)
