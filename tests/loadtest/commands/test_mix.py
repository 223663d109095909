from pathlib import Path

import pytest

from loadtest.commands.mix import MixRow, read_mix
from loadtest.errors import UsageError


def test_a_table_and_json_hold_the_same_mix(tmp_path: Path) -> None:
    table, lines = tmp_path / "mix.csv", tmp_path / "mix.jsonl"
    table.write_text("call,weight,queries_per_call,check\nSearch,0.5,2,size(hits) > 0\nEncode,3,1,true\n")
    lines.write_text(
        '{"call": "Search", "weight": 0.5, "queries_per_call": 2, "check": "size(hits) > 0"}\n'
        '{"call": "Encode", "weight": 3, "queries_per_call": 1, "check": "true"}\n'
    )
    assert read_mix(table) == read_mix(lines)
    assert read_mix(lines)[0] == MixRow(call="Search", weight=0.5, queries_per_call=2, check="size(hits) > 0")


def test_cells_of_a_table_hold_payloads_and_headers_or_nothing(tmp_path: Path) -> None:
    table = tmp_path / "mix.csv"
    table.write_text('call,name,weight,data,headers\nA,a,2,"{""s"": ""x""}","{""x-y"": ""z""}"\nB,,,,\n')
    first = MixRow(call="A", name="a", weight=2, data={"s": "x"}, headers={"x-y": "z"})
    assert read_mix(table) == [first, MixRow(call="B")]
    table.write_text("call,data\nA,{s}\n")
    with pytest.raises(UsageError, match=r"mix\.csv:2: expected an object with call .*: JSON is malformed"):
        read_mix(table)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("{}", "missing required field `call`"),
        ('{"call": 5}', "Expected `str`, got `int` - at `$.call`"),
        ('{"call": "a", "load": 1}', "unknown field `load`"),
        ('{"call": "a", "weight": "much"}', "at `$.weight`"),
        ('{"call": "a", "weight": 1' + "0" * 400 + "}", "at `$.weight`"),
        ('{"call": "a", "queries_per_call": 1.5}', "at `$.queries_per_call`"),
        ('{"call": "a", "check": [1]}', "at `$.check[0]`"),
        ('{"call": "a", "headers": {"x": 1}}', "at `$.headers[...]`"),
        ('{"call": "a", "\\ud800": 1}', "surrogates not allowed"),
        ('["Search"]', "Expected `object`, got `str`"),
    ],
)
def test_a_malformed_row_is_named(tmp_path: Path, row: str, says: str) -> None:
    mix = tmp_path / "mix.jsonl"
    mix.write_text(row)
    with pytest.raises(UsageError) as error:
        read_mix(mix)
    assert str(error.value).startswith(f"{mix}")
    assert "expected an object with call (a method), and optionally name, weight, data" in str(error.value)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_without_rows_is_no_mix(tmp_path: Path) -> None:
    mix = tmp_path / "mix.jsonl"
    mix.write_text("\n")
    with pytest.raises(UsageError, match="has no calls"):
        read_mix(mix)
