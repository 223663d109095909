import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from server.encoding.cache import OVERHEAD_BYTES, EmbeddingCache, Key
from server.encoding.kind import TextKind
from server.encoding.tokenizer import Tokens

DIMENSION = 8
ONE = OVERHEAD_BYTES + 4 * 1 + 40 * 1 + 4 * DIMENSION
"""Size of a text of one character and one token."""


def key(text: str, *, revision: str = "r", prefix: str = "") -> Key:
    return Key(revision, prefix, text)


def tokens(count: int = 1) -> Tokens:
    return Tokens(TextKind.QUERY, list(range(count)), count)


def vector(value: float = 1.0) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.full(DIMENSION, value, dtype=np.float32)


def test_what_was_asked_longest_ago_goes_first() -> None:
    cache = EmbeddingCache(3 * ONE)
    for text in "abc":
        cache.put(key(text), tokens(), vector())
    assert cache.get(key("a")) is not None
    cache.put(key("d"), tokens(), vector())
    assert [text for text in "abcd" if cache.get(key(text))] == ["a", "c", "d"]


def test_a_cache_of_nothing_stays_empty() -> None:
    cache = EmbeddingCache(0)
    cache.put(key("a"), tokens(), vector())
    assert cache.get(key("a")) is None
    assert len(cache) == cache.held_bytes == 0


def test_what_is_larger_than_the_cache_drives_nothing_out() -> None:
    cache = EmbeddingCache(2 * ONE)
    cache.put(key("a"), tokens(), vector())
    cache.put(key("x" * 1000), tokens(1000), vector())
    assert cache.get(key("a")) is not None
    assert len(cache) == 1


def test_a_vector_is_that_of_its_text_prefix_and_model_only() -> None:
    cache = EmbeddingCache(100 * ONE)
    keys = [key("a"), key("b"), key("a", revision="s"), key("a", prefix="query: ")]
    for number, each in enumerate(keys):
        cache.put(each, tokens(), vector(number))
    for number, each in enumerate(keys):
        entry = cache.get(each)
        assert entry is not None
        assert entry.vector[0] == number
    assert cache.get(key("a", revision="t")) is None


def test_a_row_of_a_batch_does_not_hold_the_batch_nor_change_with_it() -> None:
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
def test_the_memory_is_counted_exactly_and_never_exceeded(script: list[tuple[bool, str, int]], most: int) -> None:
    """Beside a model that does it the slow way: a list, the one asked last at its end."""
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
