"""Facets against their definition, and the bounds on what they count."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.attributes import facets
from server.attributes.facets import BLOCK_ENTRIES, MOST_COUNTED, MOST_VALUES, FacetCounts, facet_of
from server.attributes.filter import Scalar, kind_of, values_of
from server.composition import composed
from tests.server.attributes.test_columns import Attributes, columns_of

KINDS = ["string", "number", "boolean"]

names = st.sampled_from(["category", "é", "e\u0301"])
scalars: st.SearchStrategy[Scalar] = st.one_of(
    st.sampled_from(["", "a", "1", "카드", "é", "e\u0301", "\uffff", "😀"]), st.integers(-2, 2), st.booleans()
)
documents: st.SearchStrategy[Attributes] = st.dictionaries(names, scalars | st.lists(scalars, max_size=4))


def counts_of(attribute: str, documents: list[Attributes]) -> FacetCounts:
    """Returns the counts of few values, by definition."""
    counts: Counter[tuple[str, Scalar]] = Counter()
    for document in documents:
        named = [value for name, value in document.items() if composed(name) == composed(attribute)]
        values = [each for value in named for each in values_of(value)]
        counts.update({(kind_of(each), composed(each) if isinstance(each, str) else each) for each in values})
    ordered = sorted(counts.items(), key=lambda item: (-item[1], KINDS.index(item[0][0]), item[0][1]))
    return FacetCounts(attribute, [(value, count) for (_, value), count in ordered], len(ordered))  # type: ignore[misc]


@settings(max_examples=200, deadline=None)
@given(st.lists(documents, max_size=12), names, st.data())
def test_facets_agree_with_the_definition(every: list[Attributes], attribute: str, data: st.DataObject) -> None:
    view = columns_of(every).view()
    assert facet_of(attribute, view, None) == counts_of(attribute, every)
    chosen = data.draw(st.lists(st.booleans(), min_size=len(every), max_size=len(every)))
    some = [document for document, is_chosen in zip(every, chosen, strict=True) if is_chosen]
    found = facet_of(attribute, view, np.array(chosen, np.bool_))
    assert found == counts_of(attribute, some)
    assert all(type(value) in (str, float, bool) for value, _ in found.values)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(documents, max_size=6), min_size=1, max_size=4), names)
def test_the_facets_of_parts_merge_to_that_of_all(parts: list[list[Attributes]], attribute: str) -> None:
    counted = [facets.counts_of(attribute, columns_of(part).view(), None) for part in parts]
    merged = facets.merged_facet(attribute, counted)
    assert merged == facet_of(attribute, columns_of([each for part in parts for each in part]).view(), None)


def test_parts_with_too_many_values_together_have_none() -> None:
    first, second = (
        columns_of([{"id": f"{part}{number}"} for number in range(MOST_COUNTED // 2 + 1)]).view() for part in "ab"
    )
    counted = [facets.counts_of("id", view, None) for view in (first, second)]
    assert facets.merged_facet("id", counted) == FacetCounts("id", [], None)
    assert facets.merged_facet("id", counted[:1]) == facet_of("id", first, None)
    assert facets.merged_facet("id", [counted[0], None]) == FacetCounts("id", [], None)


def test_an_attribute_that_no_document_has_is_counted_as_empty() -> None:
    assert facet_of("color", columns_of([{"category": "card"}]).view(), None) == FacetCounts("color", [], 0)


def test_columns_of_several_blocks_are_counted_as_one() -> None:
    count = 2 * BLOCK_ENTRIES + 5
    view = columns_of([{"third": number % 3, "city": f"{number % 7}"} for number in range(count)]).view()
    allowed = np.arange(count) % 2 == 0
    for attribute, divisor in (("third", 3), ("city", 7)):
        expected = np.bincount(np.flatnonzero(allowed) % divisor)
        assert {int(value): times for value, times in facet_of(attribute, view, allowed).values} == dict(
            enumerate(expected.tolist())
        )


@pytest.mark.parametrize("as_string", [False, True])
def test_the_most_frequent_of_many_values_are_returned(as_string: bool) -> None:
    numbers = [number for number in range(3 * MOST_VALUES) for _ in range(2 if number % 3 == 0 else 1)]
    documents: list[Attributes] = [{"n": f"{number:03}" if as_string else number} for number in numbers]
    found = facet_of("n", columns_of(documents).view(), None)
    assert found.value_count == 3 * MOST_VALUES
    assert [int(value) for value, _ in found.values] == list(range(0, 3 * MOST_VALUES, 3))
    assert {count for _, count in found.values} == {2}
    first = facet_of("n", columns_of(documents).view(), np.array([number % 3 != 0 for number in numbers]))
    expected = [number for number in range(3 * MOST_VALUES) if number % 3][:MOST_VALUES]
    assert [int(value) for value, _ in first.values] == expected, "equally frequent values ascend"


def test_too_many_different_values_are_not_counted() -> None:
    documents: list[Attributes] = [{"n": [number, f"{number % 10}"]} for number in range(MOST_COUNTED + 1)]
    view = columns_of(documents).view()
    assert facet_of("n", view, None) == FacetCounts("n", [], None)
    few = np.arange(MOST_COUNTED + 1) < MOST_COUNTED - 10
    assert facet_of("n", view, few).value_count == MOST_COUNTED
