import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.attributes.columns import Columns, ColumnsView
from server.attributes.filter import AllOf, AnyOf, Equals, Exists, Filter, In, Not, Range, Scalar
from server.catalogue.document import AttributeValue
from server.composition import composed
from tests.server.attributes.matching import matches
from tests.server.snapshots import saved_and_read

Attributes = dict[str, AttributeValue]

names = st.sampled_from(["category", "tags", "a b", "", "é", "e\u0301"])
strings = st.one_of(
    st.sampled_from(["", "a", "a\0", "1", "true", "카드", "ㅎ", "é", "e\u0301", "\uffff", "😀", "2026-05-01"]),
    st.text(max_size=3),
    st.text("ab\0", min_size=6, max_size=20).map(lambda tail: "same first bytes"[:14] + tail),
)
numbers = st.one_of(
    st.sampled_from([0, -0.0, 1, 1.0, 1.5, 2**53, -(2**53), float("inf"), float("-inf"), float("nan")]),
    st.integers(-5, 5),
    st.floats(),
)
scalars: st.SearchStrategy[Scalar] = st.one_of(strings, numbers, st.booleans())
documents: st.SearchStrategy[Attributes] = st.dictionaries(names, scalars | st.lists(scalars, max_size=4))


wanted_names, wanted_strings = names.map(composed), strings.map(composed)
wanted: st.SearchStrategy[Scalar] = st.one_of(wanted_strings, numbers, st.booleans())


@st.composite
def ranges(draw: st.DrawFn) -> Range:
    kind: st.SearchStrategy[str | float] = draw(st.sampled_from([wanted_strings, numbers]))
    bounds = draw(st.tuples(st.none() | kind, st.none() | kind))
    return Range(draw(wanted_names), *bounds, draw(st.booleans()), draw(st.booleans()))


conditions: st.SearchStrategy[Filter] = st.one_of(
    st.builds(Equals, wanted_names, wanted),
    st.builds(In, wanted_names, st.lists(wanted, max_size=40).map(tuple)),
    ranges(),
    st.builds(Exists, wanted_names),
)
filters: st.SearchStrategy[Filter] = st.recursive(
    conditions,
    lambda inner: st.one_of(
        st.builds(AllOf, st.lists(inner, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Not, inner),
    ),
    max_leaves=8,
)


def columns_of(attributes: list[Attributes]) -> Columns:
    columns = Columns()
    columns.append(attributes)
    return columns


def assert_exact(view: ColumnsView, filter: Filter, attributes: list[Attributes]) -> None:
    chosen = view.select(filter)
    assert chosen.dtype == np.bool_
    assert chosen.tolist() == [matches(filter, each) for each in attributes]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(documents, max_size=8), max_size=5), st.lists(filters, min_size=1, max_size=5))
def test_a_view_agrees_with_the_definition_and_does_not_change(
    batches: list[list[Attributes]], some_filters: list[Filter]
) -> None:
    columns = Columns()
    known: list[Attributes] = []
    views = [(columns.view(), known)]
    for batch in batches:
        columns.append(batch)
        known = known + batch
        views.append((columns.view(), known))
    for view, attributes in views:
        for filter in some_filters:
            assert_exact(view, filter, attributes)


@settings(max_examples=50, deadline=None)
@given(st.lists(documents, max_size=20), st.lists(documents, max_size=8), filters)
def test_restored_columns_can_be_appended_to(before: list[Attributes], after: list[Attributes], filter: Filter) -> None:
    columns = Columns.restored(saved_and_read(columns_of(before).view().arrays))
    assert_exact(columns.view(), filter, before)
    columns.append(after)
    assert_exact(columns.view(), filter, before + after)


@pytest.mark.parametrize("count", [1, 16, 17, 3000])
def test_few_and_many_wanted_numbers_are_found(count: int) -> None:
    random = np.random.default_rng(0)
    values = random.standard_normal(20_000).tolist()
    attributes: list[Attributes] = [{"n": value} for value in values]
    wanted = random.choice(values, count).tolist() + random.standard_normal(count).tolist()
    known = set(wanted)
    chosen = columns_of(attributes).view().select(In("n", tuple(wanted)))
    assert chosen.tolist() == [value in known for value in values]


def test_views_are_searched_while_documents_are_appended() -> None:
    columns = Columns()
    wrong: list[int] = []
    done = threading.Event()

    def search() -> None:
        while not done.is_set():
            view = columns.view()
            expected = [slot % 3 == 0 for slot in range(view.slot_count)]
            for filter in (Equals("third", "third 0"), Range("third", upper="third 0"), In("third", ("third 0",))):
                if view.select(filter).tolist() != expected:
                    wrong.append(view.slot_count)

    searching = [threading.Thread(target=search) for _ in range(2)]
    for thread in searching:
        thread.start()
    for start in range(0, 3000, 10):
        columns.append([{"third": f"third {slot % 3}", f"own {slot % 70}": slot} for slot in range(start, start + 10)])
    done.set()
    for thread in searching:
        thread.join()
    assert not wrong
