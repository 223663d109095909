from pathlib import Path

import pytest

from server.catalogue.location import parse_location, text_of
from server.errors import SettingsError


def test_a_path_is_a_directory_also_if_it_looks_like_a_url() -> None:
    assert parse_location("data") == Path("data")
    directory = parse_location("./mysql:/name")
    assert isinstance(directory, Path)
    assert parse_location(text_of(directory)) == directory.absolute()


@pytest.mark.parametrize(
    "text", ["mysql://host/name", "postgresql:/host/name", "Postgresql://host/name", "file:///data"]
)
def test_another_url_is_no_directory(text: str) -> None:
    with pytest.raises(SettingsError, match="expected a directory, or postgresql://"):
        parse_location(text)
