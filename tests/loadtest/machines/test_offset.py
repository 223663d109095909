from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from loadtest.machines.offset import Exchange, measure_offset, offset_of

DELAYS = st.integers(0, 10**9)


def exchange(*, sent: int, ahead: int, out: int, thinking: int, back: int) -> Exchange:
    received = sent + out + ahead
    return Exchange(sent, received, received + thinking, sent + out + thinking + back)


@given(st.integers(0, 2**62), st.integers(-(2**61), 2**61), DELAYS, DELAYS, DELAYS)
def test_the_true_offset_is_within_the_bound(sent: int, ahead: int, out: int, thinking: int, back: int) -> None:
    found = offset_of(exchange(sent=sent, ahead=ahead, out=out, thinking=thinking, back=back))
    assert abs(found.ns - ahead) <= found.bound_ns
    assert found.bound_ns <= (out + back) // 2 + 1


def test_equal_ways_show_the_offset_itself() -> None:
    found = offset_of(exchange(sent=5, ahead=10**15, out=2_000_000, thinking=700, back=2_000_000))
    assert abs(found.ns - 10**15) <= 1
    assert found.bound_seconds == 0.002 + 1e-9


def test_the_quickest_exchange_counts() -> None:
    def exchanges() -> Iterator[Exchange]:
        yield exchange(sent=0, ahead=70, out=10**9, thinking=0, back=0)
        yield exchange(sent=9, ahead=70, out=4, thinking=10**6, back=6)
        while True:
            yield exchange(sent=99, ahead=70, out=0, thinking=0, back=1000)

    following = exchanges()
    assert measure_offset(lambda: next(following)) == (69, 6)
