import pytest

from server.nearest import nearest_name

FIELDS = ["id", "title", "text", "examples", "attributes", "minimum_age"]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("service_id", "id"),
        ("serviceId", "id"),
        ("ID", "id"),
        ("titel", "title"),
        ("Titles", "title"),
        ("example", "examples"),
        ("minimumAge", "minimum_age"),
        ("minimum-age", "minimum_age"),
        ("colour", None),
        ("", None),
        ("x" * 100_000, None),
    ],
)
def test_the_nearest_name_is_a_word_of_the_name_or_a_similar_one(name: str, nearest: str | None) -> None:
    assert nearest_name(name, FIELDS) == nearest


def test_no_name_is_near_without_known_names() -> None:
    assert nearest_name("id", []) is None
