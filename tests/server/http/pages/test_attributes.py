import numpy as np

from server.attributes.columns import Columns
from server.http.pages.attributes import MAX_CHARACTERS, MAX_VALUES, attributes_of


def test_the_most_frequent_values_of_live_documents_come_first() -> None:
    columns = Columns()
    columns.append(
        [
            {"category": "card", "price": 3, "popular": True},
            {"category": ["loan", "card"], "price": 5},
            {"category": "dead", "price": 5, "popular": False},
            {"category": "loan", "price": 3.5},
            {"category": "card"},
        ]
    )
    live = np.array([True, True, False, True, True])
    category, popular, price = attributes_of(columns.view(), live)
    assert (category.name, category.kind, category.more) == ("category", "string", False)
    assert category.values == [("card", 3), ("loan", 2)]
    assert (popular.kind, popular.values) == ("boolean", [(True, 1)])
    assert (price.kind, price.values) == ("number", [(3.0, 1), (3.5, 1), (5.0, 1)])


def test_many_and_long_values_are_left_out() -> None:
    columns = Columns()
    long = "x" * (MAX_CHARACTERS + 1)
    columns.append([{"many": f"value {number}", "long": long} for number in range(MAX_VALUES + 1)])
    (many,) = attributes_of(columns.view(), np.ones(MAX_VALUES + 1, np.bool_))
    assert (many.name, len(many.values), many.more) == ("many", MAX_VALUES, True)
