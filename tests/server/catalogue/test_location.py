import contextlib
from pathlib import Path

import pytest

from server import commands
from server.catalogue.location import parse_location, text_of
from server.catalogue.store import Store
from server.errors import SettingsError
from tests.server.catalogue.stores import put


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


def test_the_commands_take_the_location_of_the_environment_unless_a_flag_names_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        with contextlib.closing(Store(tmp_path / name)) as store:
            put(store, name)
    monkeypatch.setenv("CHAJA_DATA", "")
    with pytest.raises(SettingsError, match="--data"):
        commands.run(["check"])
    monkeypatch.setenv("CHAJA_DATA", str(tmp_path / "a"))
    commands.run(["check"])
    commands.run(["check", "--data", str(tmp_path / "b")])
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        str(tmp_path / name / "catalogue.sqlite") for name in ("a", "b")
    ]
    monkeypatch.setenv("CHAJA_DATA", "postgresql://user:secret@[host/name")
    with pytest.raises(SettingsError) as raised:
        commands.run(["migrate"])
    assert "secret" not in str(raised.value)
