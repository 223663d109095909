import pytest

from server.batching.speed import MEMORY_TOKENS, Speed
from server.ranking.options import Mode, SearchOptions


def test_a_large_batch_counts_more_than_a_cold_query() -> None:
    speed = Speed()
    speed.learn(tokens=5, tokens_per_character=0.25, seconds=0.01)
    assert speed.per_token.value < 0.0001, "0.002 would be the speed of this query alone"
    for _ in range(20):
        speed.learn(tokens=MEMORY_TOKENS // 10, tokens_per_character=0.1, seconds=0.0001 * MEMORY_TOKENS)
    assert speed.per_token.value == pytest.approx(0.001, rel=0.1)
    assert speed.tokens_per_character == pytest.approx(0.1, rel=0.1)


def test_the_speed_of_a_slow_model_is_known_after_seconds() -> None:
    speed = Speed()
    for _ in range(3):
        speed.learn(tokens=5, tokens_per_character=0.25, seconds=0.5)
    assert speed.per_token.value == pytest.approx(0.1, rel=0.1)


def test_the_speed_does_not_depend_on_the_size_of_batches() -> None:
    whole, cut = Speed(), Speed()
    whole.learn(tokens=1000, tokens_per_character=0.25, seconds=1)
    for _ in range(100):
        cut.learn(tokens=10, tokens_per_character=0.25, seconds=0.01)
    assert cut.per_token.value == pytest.approx(whole.per_token.value)


def test_small_batches_do_not_change_the_speed_of_full_ones() -> None:
    speed = Speed()
    for _ in range(100):
        speed.learn(tokens=4000, tokens_per_character=0.25, seconds=0.4)
        speed.learn(tokens=4, tokens_per_character=0.25, seconds=0.4)
    assert speed.per_token_of_full_batch.value == pytest.approx(0.0001)
    assert speed.per_token.value > 0.01


def test_each_kind_of_search_has_its_own_time() -> None:
    speed = Speed()
    lexical, dense = SearchOptions(5, mode=Mode.LEXICAL), SearchOptions(5)
    assert speed.search_tokens(lexical) == 1, "nothing is measured yet"
    for _ in range(300):
        speed.learn_search(lexical, seconds=0.02)
        speed.learn_search(dense, seconds=0.00005)
    seconds = speed.search_tokens(lexical) * speed.per_token.value
    assert seconds == pytest.approx(0.02, rel=0.01), "also where no text was ever encoded"
    assert speed.search_tokens(dense) == 1


def test_doubts_do_not_make_a_search_more_expensive_than_it_is() -> None:
    speed, options = Speed(), SearchOptions(5)
    for _ in range(10):
        speed.learn(tokens=4000, tokens_per_character=0.25, seconds=0.4)
    for _ in range(1000):  # Almost every vector is cached, and callers have impossible deadlines.
        speed.learn_search(options, seconds=0.002)
        for _ in range(50):
            speed.doubt()
        speed.learn(tokens=1, tokens_per_character=0.25, seconds=0.0001)
    assert speed.per_token.value >= 0.00001
    speed.learn_search(options, seconds=0.002)
    assert speed.search_tokens(options) <= 200
    speed.learn(tokens=4000, tokens_per_character=0.25, seconds=0.4)
    assert speed.per_token.value > 0.00005, "the next batch corrects the doubts"


def test_doubts_are_bounded_where_no_text_was_ever_encoded() -> None:
    speed, options = Speed(), SearchOptions(5, mode=Mode.LEXICAL)
    for _ in range(10_000):
        speed.learn_search(options, seconds=0.002)
        speed.doubt()
    assert speed.search_tokens(options) <= 200
