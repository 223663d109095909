import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from server.encoding.cache import OVERHEAD_BYTES, CacheKey, EmbeddingCache

DIMENSION = 8
ONE = OVERHEAD_BYTES + 4 * DIMENSION
"""Size of an entry."""


def key(text: str, *, revision: str = "r", prefix: str = "") -> CacheKey:
    return CacheKey.of(text, revision=revision, prefix=prefix)


def vector(value: float = 1.0) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.full(DIMENSION, value, dtype=np.float32)


def test_a_vector_belongs_to_one_text_prefix_and_model() -> None:
    cache = EmbeddingCache(100 * ONE)
    keys = [key("a"), key("b"), key("a", revision="s"), key("a", prefix="query: ")]
    for number, each in enumerate(keys):
        cache.put(each, whole_count=number, vector=vector(number))
    for number, each in enumerate(keys):
        entry = cache.get(each)
        assert entry is not None
        assert entry.whole_count == entry.vector[0] == number
    assert cache.get(key("a", revision="t")) is None


def test_a_cached_row_is_a_copy_of_its_batch() -> None:
    cache = EmbeddingCache(100 * ONE)
    batch = np.ones((1000, DIMENSION), dtype=np.float32)
    cache.put(key("a"), whole_count=1, vector=batch[3])
    batch[:] = 7
    entry = cache.get(key("a"))
    assert entry is not None
    assert entry.vector.base is None
    assert entry.vector.tolist() == [1.0] * DIMENSION


def test_a_long_text_takes_as_much_memory_as_a_short_one() -> None:
    cache = EmbeddingCache(100 * ONE)
    text = "가" * 1_000_000
    tracemalloc.start()
    cache.put(key(text), whole_count=2, vector=vector())
    held_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert cache.held_bytes == ONE
    assert held_bytes < 10 * ONE


operations = st.lists(st.tuples(st.booleans(), st.text("ab가", max_size=3)), max_size=80)


@given(operations, st.integers(0, 5000))
def test_the_least_recently_used_entries_are_evicted_and_the_memory_bound_holds(
    script: list[tuple[bool, str]], most: int
) -> None:
    """Compares the cache with a simple model: a list of texts, the most recently used last."""
    cache = EmbeddingCache(most)
    model: list[str] = []
    for is_put, text in script:
        known = text in model
        if is_put:
            cache.put(key(text), whole_count=1, vector=vector())
            if not known and most >= ONE:
                model = [*model, text][-(most // ONE) :]
        else:
            assert (cache.get(key(text)) is not None) == known
            if known:
                model.remove(text)
                model.append(text)
        assert cache.held_bytes == ONE * len(model) <= most
        assert len(cache) == len(model)
