"""The queries of the benchmark, shuffled so that any section is representative."""

import random
from pathlib import Path

from loadtest.requests.queries import Query, read_queries

SEED = 7


def shuffled_queries(path: Path) -> tuple[Query, ...]:
    """Returns the queries of a file, always in the same shuffled order: files are often sorted by subject or length."""
    texts = [(each.id, str(each.fields.get("query", ""))) for each in read_queries(path)]
    queries = [Query(id, {"query": text}) for id, text in texts if text.strip()]
    random.Random(SEED).shuffle(queries)
    return tuple(queries)
