import functools
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from hypothesis import given, settings
from hypothesis import strategies as st

from chaja.v1 import Hit, SearchResponse
from loadtest.errors import UsageError
from loadtest.requests.checks import MOST_CHECKS, AnswerChecks
from loadtest.requests.descriptors import proto_descriptors
from loadtest.requests.method import Method, methods_of

FOUND = SearchResponse(hits=[Hit(document_id="card-lost", score=0.5), Hit(document_id="card-new", score=0.25)])
NOTHING = SearchResponse()


@functools.cache
def known_methods() -> dict[str, Method]:
    proto = Path(__file__).parent / "protos" / "known.proto"
    return {method.name: method for method in methods_of(proto_descriptors(proto))}


@pytest.mark.parametrize(
    ("expression", "found", "nothing"),
    [
        ('hits[0].document_id == "card-lost"', True, False),
        ('hits.0.document_id == "card-lost"', True, False),
        ("answer.hits.0.document_id == 'card-lost'", True, False),
        ("hits.1.document_id == 'hits.0'", False, False),
        ("size(hits) > 0", True, False),
        ("hits.size() == 2", True, False),
        ("hits.size() <= 2u", True, True),
        ("hits[0].score > 0", True, False),
        ("hits.0.score >= 0.5 && hits.1.score < 1", True, False),
        ("hits.all(hit, hit.score > 0.1)", True, True),
        ("hits.exists(h, h.document_id.startsWith('card-'))", True, False),
        ("hits.map(h, h.score).exists(s, s == 0.25)", True, False),
        ("has(timings)", False, False),
        ("!has(answer.timings)", True, True),
        ("timings.search < duration('1s')", True, True),
        ("hits[0].document_id.matches('^card-(lost|new)$')", True, False),
        ("search_id == ''", True, True),
        ("no_good_answer", False, False),
        ("hits[9].score > 0.1", False, False),
        ("true", True, True),
    ],
)
def test_expressions_hold_or_fail(expression: str, found: bool, nothing: bool) -> None:
    checks = AnswerChecks(SearchResponse, [expression])
    assert (checks.failed([FOUND]) == 0, checks.failed([NOTHING]) == 0) == (found, nothing)


SHORT = """
syntax = "proto3";
package short;
service S { rpc Get(A) returns (A); }
message A { string b = 1; bytes r = 2; map<string, int32> in = 3; A s = 4; int32 n = 5; bool true = 6; string all = 7; }
"""


@pytest.mark.parametrize(
    "expression",
    [
        "n in [1, 5]",
        '"x" in {"x": n}',
        "r == b'ab'",
        'b == r"b\\n" || b == """b"""',
        "b == 'it' + \"'\" + 's' || b == 'b'",
        's == short.A{b: "x", n: 2}',
        "s == short.A { n : n - 3, b:'x' }",
        "[s].exists(x, x == short.A{b: 'x', n: 2}) ? n == 5 : n == 6",
        'all == "b" && [1].all(x, x == 1)',
        "true == true",
    ],
)
def test_words_of_the_language_are_no_fields(tmp_path: Path, expression: str) -> None:
    (tmp_path / "short.proto").write_text(SHORT)
    [method] = methods_of(proto_descriptors(tmp_path / "short.proto"))
    answer: Any = method.response_class
    message = answer(b="b", r=b"ab", s={"b": "x", "n": 2}, n=5, all="b")
    assert AnswerChecks(answer, [expression]).failed([message]) == 0


@pytest.mark.parametrize(
    ("name", "answer", "expression"),
    [
        ("TakeString", "a", 'answer == "a"'),
        ("TakeInt", 3, "answer > 2"),
        ("TakeBool", True, "answer"),
        ("TakeStruct", {"a": {"b": [1]}}, "answer.a.b[0] == 1"),
        ("TakeValue", {"a": True}, "answer.a"),
        ("TakeAny", {"@type": "type.googleapis.com/known.Coat", "name": "x"}, 'answer.name == "x"'),
        ("TakeTime", "2026-01-01T00:00:00Z", 'answer > timestamp("2025-01-01T00:00:00Z")'),
        ("TakeEmpty", {}, "true"),
        ("TakeAll", {"labels": {"a": "b"}, "size": "LARGE"}, 'labels.a == "b" && labels["a"] == "b" && size == 1'),
        ("TakeAll", {"right": "5", "tags": ["a"]}, 'right == 5u && right + 1u == 6u && "a" in tags && tags.0 == "a"'),
        ("TakeAll", {"truth": True, "struct": {"on": True}}, "truth && struct.on && !plain_truth"),
        ("TakeAll", {"any": {"@type": "type.googleapis.com/known.Coat", "name": "x"}}, 'any.name == "x"'),
    ],
)
def test_answers_of_every_type_are_checked(name: str, answer: Any, expression: str) -> None:
    answer_class: Any = known_methods()[name].response_class
    message = answer_class()
    ParseDict(answer, message, descriptor_pool=answer_class.DESCRIPTOR.file.pool)
    assert AnswerChecks(answer_class, [expression]).failed([message]) == 0


def test_each_check_has_a_bit() -> None:
    checks = AnswerChecks(SearchResponse, ["size(hits) > 0", "true", "hits[1].score > 0.3"])
    assert (checks.failed([FOUND]), checks.failed([NOTHING])) == (0b100, 0b101)


def test_every_message_of_a_stream_has_to_hold() -> None:
    checks = AnswerChecks(SearchResponse, ["size(hits) > 0", "true"])
    assert (checks.failed([FOUND, FOUND]), checks.failed([FOUND, NOTHING]), checks.failed([])) == (0, 0b01, 0b11)


def test_there_may_be_no_checks() -> None:
    assert not AnswerChecks(SearchResponse, [])
    assert AnswerChecks(SearchResponse, ["true"])


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("", "Syntax error"),
        ("hits[0", "Syntax error"),
        ("true) || (true", "Syntax error"),
        ("nope > 1", "undeclared reference to 'nope'; the answer has hits, "),
        ("hits[0].nope > 1", "undefined field 'nope'"),
        ("hits[0].score > 0 && nope", "undeclared reference to 'nope'"),
        ("hits[0].score > 'a'", "no matching overload"),
        ("hits", "its value is not true or false"),
        ("size(hits)", "its value is not true or false"),
        ("hits.map(h, h.score > 0)", "its value is not true or false"),
        ("hits[0].score > 0 ? 1 : 2", "its value is not true or false"),
        ("hits[0].document_id", "its value is not true or false"),
        ("(" * 1000, "limit"),
        ("x" * 70_000, "undeclared reference"),
        ("\ud800", "not Unicode"),
        ("\0", "Syntax error"),
    ],
)
def test_an_invalid_expression_is_a_usage_error(expression: str, says: str) -> None:
    with pytest.raises(UsageError, match=r"^--check ") as error:
        AnswerChecks(SearchResponse, [expression])
    assert says in str(error.value)
    assert len(str(error.value)) < 1000
    assert "\n" not in str(error.value)


def test_there_are_not_too_many_checks() -> None:
    AnswerChecks(SearchResponse, ["true"] * MOST_CHECKS)
    with pytest.raises(UsageError, match="at most 32 checks"):
        AnswerChecks(SearchResponse, ["true"] * (MOST_CHECKS + 1))


PARTS = st.sampled_from(
    ["hits", ".0", "[0]", ".score", " > ", "0", "'a'", "(", ")", "size", " && ", "h", ", ", "\n", "?", " : ", "in"]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PARTS, max_size=8).map("".join) | st.text(max_size=20))
def test_any_expression_is_a_check_or_refused_in_one_line(expression: str) -> None:
    try:
        failed = AnswerChecks(SearchResponse, [expression]).failed([FOUND])
        lines = 1
    except UsageError as error:
        failed, lines = 0, str(error).count("\n") + 1
    assert (failed in (0, 1), lines) == (True, 1)
