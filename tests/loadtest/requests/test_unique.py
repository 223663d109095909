from hypothesis import given
from hypothesis import strategies as st

from loadtest.requests.queries import Query
from loadtest.requests.unique import NUMBERS, first_number, made_unique


@given(st.integers(0, 3 * NUMBERS), st.integers(1, NUMBERS - 1))
def test_a_query_repeats_only_after_all_numbers(start: int, later: int) -> None:
    query = Query("a", {"query": "card lost", "text": "card lost", "k": 3})
    made, again = made_unique(query, start), made_unique(query, start + later)
    assert made.fields["query"] != again.fields["query"]
    assert made.fields["query"].startswith("card lost ")
    assert len(made.fields["query"]) == len("card lost 123456")
    assert made.fields["text"] == made.fields["query"]
    assert (made.id, made.fields["k"]) == ("a", 3)
    assert made_unique(query, start + NUMBERS) == made


def test_runs_begin_with_different_numbers() -> None:
    assert len({first_number() for _ in range(20)}) > 15
