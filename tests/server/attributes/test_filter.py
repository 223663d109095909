import pytest

from server.attributes.filter import AllOf, AnyOf, Equals, Exists, Filter, In, Not, Range
from server.catalogue.document import AttributeValue
from tests.server.attributes.matching import matches
from tests.server.attributes.test_columns import columns_of

CARD: dict[str, AttributeValue] = {
    "category": "card",
    "minimum_age": 14,
    "open": True,
    "tags": ["new", 1, False],
    "until": "2026-05-01",
    "nothing": [],
    "ages": [5, 15, 25],
}

YES, NO = Exists("category"), Exists("missing")


MATCHING: list[Filter] = [
    Equals("category", "card"),
    Equals("minimum_age", 14.0),
    Equals("open", True),
    Equals("tags", "new"),
    Equals("tags", 1),
    Equals("tags", False),
    In("category", ("loan", "card")),
    In("tags", ("x", 1)),
    Range("minimum_age", 14, 14),
    Range("minimum_age", lower=13, lower_inclusive=False),
    Range("minimum_age", upper=15, upper_inclusive=False),
    Range("until", "2026-05", "2026-06"),
    Range("tags", 0, 2),
    Exists("tags"),
    AllOf(()),
    AllOf((YES, YES)),
    AnyOf((NO, YES)),
    Not(NO),
    Not(AllOf((YES, NO))),
    Range("ages", 10, 20),
]
OTHERS: list[Filter] = [
    Equals("category", "Card"),
    Equals("minimum_age", "14"),
    Equals("open", 1),
    Equals("open", "true"),
    Equals("tags", True),
    Equals("tags", 0),
    Equals("missing", "card"),
    In("category", ()),
    In("open", (1, "true")),
    Range("minimum_age", 14, lower_inclusive=False),
    Range("minimum_age", upper=14, upper_inclusive=False),
    Range("minimum_age", "0", "9"),
    Range("minimum_age", 15, 13),
    Range("until", 0, 9999),
    Range("open", 0, 1),
    Exists("missing"),
    Exists("nothing"),
    AnyOf(()),
    AnyOf((NO, NO)),
    AllOf((YES, NO)),
    Not(YES),
    Range("ages", 6, 9),  # One value must be within both bounds.
]


@pytest.mark.parametrize(
    ("filter", "expected"), [*((each, True) for each in MATCHING), *((each, False) for each in OTHERS)]
)
def test_a_filter_matches_as_expected(filter: Filter, expected: bool) -> None:
    assert matches(filter, CARD) is expected
    assert columns_of([CARD]).view().select(filter).tolist() == [expected]
