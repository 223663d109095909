from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import SettingsError
from server.settings import Address, Settings, parse_address, parse_settings, setting_rows

REQUIRED = ["--bundle", "b", "--catalogue", "c.jsonl"]


def test_defaults_come_from_the_table() -> None:
    settings = parse_settings(REQUIRED, {})
    assert settings == Settings(bundle=Path("b"), catalogue=Path("c.jsonl"))
    assert settings.listen == Address("127.0.0.1", 50051)


def test_a_flag_wins_over_the_environment_which_wins_over_the_default() -> None:
    environment = {"CHAJA_MAX_LIMIT": "20", "CHAJA_CATALOGUE": "elsewhere"}
    assert parse_settings(REQUIRED, environment).max_limit == 20
    assert parse_settings([*REQUIRED, "--max-limit", "30"], environment).max_limit == 30
    assert parse_settings(["--bundle", "b"], environment).catalogue == Path("elsewhere")


def test_every_setting_can_be_given_by_flag_and_by_environment() -> None:
    for row in setting_rows():
        text = row.default or "somewhere"
        by_flag = parse_settings([*REQUIRED, row.flag, text], {})
        by_environment = {"CHAJA_BUNDLE": "b", "CHAJA_CATALOGUE": "c.jsonl"} | {row.variable: text}
        assert parse_settings([], by_environment) == by_flag


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--bundle is required"),
        ([*REQUIRED, "--listen", "50051"], "--listen: expected host:port"),
        ([*REQUIRED, "--listen", "localhost:70000"], "--listen: expected host:port"),
        ([*REQUIRED, "--max-limit", "0"], "--max-limit: expected a whole number from 1"),
        ([*REQUIRED, "--max-limit", "many"], "--max-limit: expected a whole number; it is 'many'"),
        ([*REQUIRED, "--max-limit", "3000000000"], "--max-limit: expected a whole number from 1 to 2147483647"),
        ([*REQUIRED, "--encode-threads", "1025"], "--encode-threads: expected a whole number from 0 to 1024"),
        ([*REQUIRED, "--max-lim", "5"], "unrecognized arguments: --max-lim"),
        ([*REQUIRED, "--drain-seconds", "-1"], "--drain-seconds: expected a number of seconds"),
        ([*REQUIRED, "--drain-seconds", "nan"], "--drain-seconds: expected a number of seconds"),
        ([*REQUIRED, "--reflection", "yes"], "--reflection: expected on or off"),
        ([*REQUIRED, "--index-storage", "f64"], "--index-storage: expected f32, f16 or i8; it is 'f64'"),
        ([*REQUIRED, "--no-such-flag"], "unrecognized arguments: --no-such-flag"),
    ],
)
def test_a_wrong_setting_is_named(arguments: list[str], message: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)):
        parse_settings(arguments, {})


def test_a_wrong_environment_variable_is_named() -> None:
    with pytest.raises(SettingsError, match="CHAJA_MAX_LIMIT: expected a whole number"):
        parse_settings(REQUIRED, {"CHAJA_MAX_LIMIT": "x"})


@given(st.sampled_from(["127.0.0.1", "::1", "search.example"]), st.integers(0, 65535))
def test_an_address_survives_its_own_text(host: str, port: int) -> None:
    address = Address(host, port)
    assert parse_address(str(address)) == address
