import numpy as np
import pytest

from server.attributes.columns import Columns
from server.attributes.filter import AllOf, AnyOf, Equals, Exists, Filter, In, Not, Range
from server.attributes.warnings import MOST_WARNINGS, Attributes, asked_attributes, warnings_of
from server.catalogue.document import AttributeValue

DOCUMENTS: list[dict[str, AttributeValue]] = [
    {"category": "card", "minimum_age": 14, "open": True},
    {"category": "loan", "tags": ["a", 1]},
    {"retired_name": "only in a deleted document"},
]
LIVE = np.array([True, True, False])

TYPO = Equals("catgeory", "card")
UNKNOWN = "no document has the attribute"


def warned(filter: Filter | None, *facets: str) -> list[str]:
    columns = Columns()
    columns.append(DOCUMENTS)
    return warnings_of(filter, facets, Attributes.of(asked_attributes(filter, facets), columns.view(), LIVE))


def test_a_facet_of_an_attribute_that_no_document_has_is_warned_of() -> None:
    misspelt = f"{UNKNOWN} 'catgeory'; perhaps 'category' is meant"
    assert warned(None, "category", "tags") == []
    assert warned(TYPO, "category", "catgeory") == [f"filter.equals: {misspelt}", f"facets[1]: {misspelt}"]
    assert warned(None, "retired_name") == [f"facets[0]: {UNKNOWN} 'retired_name'"]
    assert len(warned(TYPO, "a", "b", "c")) == MOST_WARNINGS


@pytest.mark.parametrize(
    "filter",
    [
        Equals("category", "no such value"),
        Equals("tags", "a"),
        In("tags", ("x", 7)),
        In("category", (1, "card")),
        Range("minimum_age", lower=99),
        Exists("open"),
        AllOf((Equals("open", False), Not(AnyOf((Exists("tags"),))))),
    ],
)
def test_a_condition_that_some_value_could_meet_gets_no_warning(filter: Filter) -> None:
    assert warned(filter) == []


@pytest.mark.parametrize(
    ("filter", "warning"),
    [
        (TYPO, f"filter.equals: {UNKNOWN} 'catgeory'; perhaps 'category' is meant"),
        (In("Category", ("card",)), f"filter.is_in: {UNKNOWN} 'Category'; perhaps 'category' is meant"),
        (Range("minimumAge", lower=1), f"filter.range: {UNKNOWN} 'minimumAge'; perhaps 'minimum_age' is meant"),
        (Exists("xyz"), f"filter.exists: {UNKNOWN} 'xyz'"),
        (Exists("retired_name"), f"filter.exists: {UNKNOWN} 'retired_name'"),
        (Exists("retired-name"), f"filter.exists: {UNKNOWN} 'retired-name'"),
        (
            Equals("minimum_age", "14"),
            "filter.equals: no document has a string as 'minimum_age'; the type of its values is number",
        ),
        (In("open", ("yes",)), "filter.is_in: no document has a string as 'open'; the type of its values is boolean"),
        (
            Range("category", upper=3),
            "filter.range: no document has a number as 'category'",
        ),
        (
            Equals("tags", True),
            "filter.equals: no document has a boolean as 'tags'",
        ),
        (AllOf((Exists("open"), AnyOf((TYPO,)))), "filter.all_of.filters[1].any_of.filters[0].equals: no document"),
        (Not(AnyOf((Exists("open"), TYPO))), "filter.none_of.filters[1].equals: no document has the attribute"),
    ],
)
def test_a_condition_that_nothing_can_meet_is_named_with_the_nearest_attribute(filter: Filter, warning: str) -> None:
    (found,) = warned(filter)
    assert found.startswith(warning)


def test_warnings_are_few_and_short() -> None:
    many = AllOf(tuple(Exists("x" * 10_000 + str(number)) for number in range(100)))
    found = warned(many)
    assert len(found) == MOST_WARNINGS
    assert max(map(len, found)) < 200


def test_an_empty_catalogue_has_no_attributes() -> None:
    attributes = Attributes.of(["catgeory"], Columns().view(), np.empty(0, np.bool_))
    assert warnings_of(TYPO, (), attributes) == [f"filter.equals: {UNKNOWN} 'catgeory'"]
