import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from server.encoding.cache import OVERHEAD_BYTES, CacheKey, EmbeddingCache
from server.encoding.kind import TextKind
from server.encoding.tokenizer import Tokens

DIMENSION = 8
ONE = OVERHEAD_BYTES + 4 * 1 + 40 * 1 + 4 * DIMENSION
"""Size of a text of one character and one token."""


def key(text: str, *, revision: str = "r", prefix: str = "") -> CacheKey:
    return CacheKey(revision, prefix, text)


def tokens(count: int = 1) -> Tokens:
    return Tokens(TextKind.QUERY, list(range(count)), count)


def vector(value: float = 1.0) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.full(DIMENSION, value, dtype=np.float32)


def test_a_vector_belongs_to_one_text_prefix_and_model() -> None:
    cache = EmbeddingCache(100 * ONE)
    keys = [key("a"), key("b"), key("a", revision="s"), key("a", prefix="query: ")]
    for number, each in enumerate(keys):
        cache.put(each, tokens(), vector(number))
    for number, each in enumerate(keys):
        entry = cache.get(each)
        assert entry is not None
        assert entry.vector[0] == number
    assert cache.get(key("a", revision="t")) is None


def test_a_cached_row_is_a_copy_of_its_batch() -> None:
    cache = EmbeddingCache(100 * ONE)
    batch = np.ones((1000, DIMENSION), dtype=np.float32)
    cache.put(key("a"), tokens(), batch[3])
    batch[:] = 7
    entry = cache.get(key("a"))
    assert entry is not None
    assert entry.vector.base is None
    assert entry.vector.tolist() == [1.0] * DIMENSION


operations = st.lists(st.tuples(st.booleans(), st.text("ab가", max_size=3), st.integers(0, 20)), max_size=80)


@given(operations, st.integers(0, 5000))
def test_the_least_recently_used_entries_are_evicted_and_the_memory_bound_holds(
    script: list[tuple[bool, str, int]], most: int
) -> None:
    """Compares the cache with a simple model: a list of entries, the most recently used last."""
    cache = EmbeddingCache(most)
    model: list[tuple[str, int]] = []
    for is_put, text, count in script:
        known = next((entry for entry in model if entry[0] == text), None)
        if is_put:
            cache.put(key(text), tokens(count), vector())
            if known is None and size(text, count) <= most:
                model.append((text, count))
                while sum(size(*entry) for entry in model) > most:
                    model.pop(0)
        else:
            found = cache.get(key(text))
            assert (found is not None) == (known is not None)
            if known is not None:
                model.remove(known)
                model.append(known)
        assert cache.held_bytes == sum(size(*entry) for entry in model) <= most
        assert len(cache) == len(model)


def size(text: str, count: int) -> int:
    return OVERHEAD_BYTES + 4 * len(text) + 40 * count + 4 * DIMENSION
