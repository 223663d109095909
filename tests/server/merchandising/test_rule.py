"""Rules: what a line may say, its canonical form, and the errors of lines that are wrong."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import UnfitRule
from server.merchandising.rule import MAX_BURIED, MAX_PINNED, Match, Rule


def line(**fields: Any) -> bytes:
    return json.dumps({"id": "a", "pinned_ids": ["x"], **fields}, ensure_ascii=False).encode()


def test_a_line_with_all_fields_is_read_and_written() -> None:
    rule = Rule.read(
        line(
            query=" 신용  대출 ",
            match="contains",
            language_code="ko_KR",
            start_time="2026-12-01T00:00:00+09:00",
            end_time="2027-01-01T00:00:00Z",
            buried_ids=["y"],
            buried_if=[{"attribute": "status", "value": "ended"}, {"attribute": "stock", "value": 0.0}],
            boosts=[
                {"attribute": "popular", "share": 0.2, "half_value": 1000},
                {"attribute": "published", "share": 0.1, "half_life_days": 30},
                {"attribute": "official", "share": 0.1, "equals": True},
            ],
        )
    )
    assert (rule.query, rule.match, rule.language_code) == ("신용 대출", Match.CONTAINS, "ko-kr")
    assert rule.start_time is not None
    assert rule.start_time.isoformat() == "2026-11-30T15:00:00+00:00"
    assert Rule.read(rule.content) == rule


def test_texts_that_differ_in_composition_notation_and_zone_only_make_equal_rules() -> None:
    one = Rule.read(
        line(query="카드", start_time="2026-12-01T00:00:00+09:00", buried_if=[{"attribute": "é", "value": 1}])
    )
    other = Rule.read(
        line(
            query="\u110f\u1161\u1103\u1173",
            start_time="2026-11-30T15:00:00Z",
            buried_if=[{"attribute": "e\u0301", "value": 1.0}],
        )
    )
    assert one.content == other.content


def test_a_rule_applies_from_its_start_until_before_its_end() -> None:
    rule = Rule.read(line(start_time="1970-01-01T00:00:10Z", end_time="1970-01-01T00:00:20Z"))
    assert [seconds for seconds in range(30) if rule.applies_at(seconds)] == list(range(10, 20))


BOOST = {"attribute": "popular", "share": 0.2, "half_value": 10}


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"id": " "}, "id is empty"),
        ({"id": "x" * 300}, "id has 300 characters"),
        ({"query": "…!"}, "query has no word"),
        ({"query": "  "}, "query has no word"),
        ({"query": "x" * 201}, "query has 201 characters; at most 200"),
        ({"match": "prefix"}, "match is set without a query"),
        ({"match": "regex"}, "Invalid enum value .regex."),
        ({"start_time": "2026-12-01T00:00:00"}, "timezone component"),
        ({"start_time": "2026-12-01T00:00:00Z", "end_time": "2026-12-01T00:00:00Z"}, "end_time is not after"),
        ({"pinned_ids": ["x", "x"]}, r"pinned_ids\[1\] names a document again"),
        ({"buried_ids": ["x"]}, r"buried_ids\[0\] names a document again"),
        ({"pinned_ids": [f"{n}" for n in range(MAX_PINNED + 1)]}, "pinned_ids has 51 elements"),
        ({"buried_ids": [f"{n}" for n in range(MAX_BURIED + 1)]}, "buried_ids has 201 elements"),
        ({"pinned_ids": [""]}, r"pinned_ids\[0\] is empty"),
        ({"pinned_ids": []}, "pinned_ids is empty, and so is every other effect"),
        ({"buried_if": [{"attribute": "", "value": 1}]}, r"buried_if\[0\].attribute is empty"),
        ({"buried_if": [{"attribute": "a", "value": None}]}, "Expected"),
        ({"boosts": [BOOST | {"share": 0.6}]}, r"boosts\[0\].share is 0.6"),
        ({"boosts": [BOOST | {"share": 0}]}, r"boosts\[0\].share is 0"),
        ({"boosts": [BOOST] * 3}, "boosts have shares of more than 0.5 together"),
        ({"boosts": [BOOST | {"half_life_days": 3}]}, r"boosts\[0\] needs exactly one of"),
        ({"boosts": [{"attribute": "popular", "share": 0.1}]}, r"boosts\[0\] needs exactly one of"),
        ({"boosts": [BOOST | {"half_value": 0}]}, r"boosts\[0\].half_value is 0"),
        ({"boosts": [{"attribute": "day", "share": 0.1, "half_life_days": -1}]}, r"boosts\[0\].half_life_days is -1"),
        ({"boosts": [{"attribute": "day", "share": 0.1, "equals": 2**60}]}, "too large for a number"),
        ({"hidden_ids": ["x"]}, "unknown field `hidden_ids`"),
    ],
)
def test_an_error_names_the_field_and_the_remedy(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(UnfitRule, match=problem):
        Rule.read(line(**fields))


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"id": "\\ud800", "pinned_ids": ["x"]}'])
def test_a_line_that_is_no_json_object_is_an_error(text: bytes) -> None:
    with pytest.raises(UnfitRule):
        Rule.read(text)


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_the_ends_of_the_calendar_are_times(time: str) -> None:
    rule = Rule.read(line(start_time=time))
    assert Rule.read(rule.content) == rule
    assert rule.applies_at(0) is time.startswith("0001")


@given(st.binary(max_size=50) | st.text(max_size=50).map(str.encode))
def test_any_bytes_are_a_rule_or_an_error(text: bytes) -> None:
    with pytest.raises(UnfitRule):
        Rule.read(text)
