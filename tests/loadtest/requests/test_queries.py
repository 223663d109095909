import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.errors import UsageError
from loadtest.requests.queries import Query, read_payloads, read_queries, read_timestamps

TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "queries"


def test_plain_text_has_one_query_per_line(file: Path) -> None:
    file.write_bytes("따뜻한 외투\r\n\n  warm coat \n".encode())
    first, second = read_queries(file)
    assert (first.id, first.fields["query"], first.fields) == ("0", "따뜻한 외투", {"query": "따뜻한 외투"})
    assert (second.id, second.fields["query"]) == ("1", "warm coat")


@pytest.mark.parametrize("content", ['["a", "b"]', '[\n  {"query": "a"}\n]\n'])
@pytest.mark.parametrize("read", [read_queries, read_payloads])
def test_a_json_array_is_refused_with_the_command_that_converts_it(
    file: Path, read: Callable[[Path], list[Query]], content: str
) -> None:
    file.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=r"is a JSON array; write one object per line: jq -c '\.\[\]'"):
        read(file)


@pytest.mark.parametrize(
    ("line", "id", "fields"),
    [
        ('{"query": "a", "limit": 3}', "0", {"query": "a", "limit": 3}),
        ('{"text": "a", "id": 7}', "7", {"query": "a", "text": "a", "id": 7}),
        ('{"_id": "PLAIN-2", "text": "a"}', "PLAIN-2", {"query": "a", "text": "a", "_id": "PLAIN-2"}),
        ('{"query_id": "a", "user": 5}', "a", {"query_id": "a", "user": 5}),
    ],
)
def test_json_lines_have_an_id_and_fields(file: Path, line: str, id: str, fields: dict[str, Any]) -> None:
    file.write_text(line, encoding="utf-8")
    assert read_queries(file) == [Query(id, fields)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON"),
        ("plain", "not JSON"),
        ("[1]", "expected a JSON object"),
        ('"text"', "expected a JSON object"),
        ('{"query": 3}', "query must be a string"),
        ('{"text": null}', "text must be a string"),
        ('{"a":' * 100_000, "not JSON"),
    ],
)
def test_a_malformed_line_is_named(file: Path, line: str, message: str) -> None:
    file.write_text('{"query": "a"}\n\n' + line + "\n", encoding="utf-8")
    with pytest.raises(UsageError, match=message) as error:
        read_queries(file)
    assert str(error.value).startswith(f"{file}:3: ")


def test_a_line_that_is_not_utf_8_is_named(file: Path) -> None:
    file.write_bytes("좋다\n좋다\n".encode() + b"caf\xe9\n")
    with pytest.raises(UsageError, match=r"queries:3: not UTF-8$"):
        read_queries(file)


@pytest.mark.parametrize("content", [b"", b"\n \r\n\t\n", b"\xef\xbb\xbf"])
def test_a_file_without_queries_is_rejected(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(UsageError, match="has no queries"):
        read_queries(file)


def test_an_unreadable_file_is_rejected(file: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_queries(file)
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        read_queries(tmp_path)


@pytest.mark.parametrize("line", ["coat", '{"query": "coat"}'])
def test_a_byte_order_mark_is_not_part_of_a_query(file: Path, line: str) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + line.encode())
    assert [query.fields["query"] for query in read_queries(file)] == ["coat"]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_other_line_separators_do_not_end_a_line(file: Path, separator: str) -> None:
    text = f"a{separator}b"
    for line in (text, json.dumps({"query": text}, ensure_ascii=False)):
        file.write_text(f"{line}\n{line}\n", encoding="utf-8", newline="")
        assert [query.fields["query"] for query in read_queries(file)] == [text, text]


@settings(max_examples=100, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=10), st.booleans())
def test_json_keeps_every_text(tmp_path_factory: pytest.TempPathFactory, texts: list[str], ascii_only: bool) -> None:
    file = tmp_path_factory.getbasetemp() / "any.jsonl"
    lines = [json.dumps({"query": text}, ensure_ascii=ascii_only) for text in texts]
    file.write_text("\n".join(lines), encoding="utf-8", newline="")
    assert [query.fields["query"] for query in read_queries(file)] == texts


def test_timestamps_are_seconds_or_iso_8601(file: Path) -> None:
    file.write_text("1.5\n\n2026-01-01T00:00:00Z\n2026-01-01T09:00:01+09:00\n1e3\n", encoding="utf-8")
    assert read_timestamps(file) == [1.5, 1767225600.0, 1767225601.0, 1000.0]


def test_json_lines_may_have_timestamps(file: Path) -> None:
    file.write_text('{"timestamp": 5}\n{"timestamp": "6.5", "query": "a"}\n', encoding="utf-8")
    assert read_timestamps(file) == [5.0, 6.5]


@pytest.mark.parametrize(
    "line",
    [
        "yesterday",
        "nan",
        "-inf",
        "{}",
        '{"timestamp": null}',
        '{"timestamp": [1]}',
        '{"timestamp": 1e999}',
        '{"timestamp": NaN}',
        '{"timestamp": 1' + "0" * 400 + "}",
        "{",
    ],
)
def test_a_line_without_a_timestamp_is_named(file: Path, line: str) -> None:
    file.write_text(f"1.5\n{line}\n", encoding="utf-8")
    with pytest.raises(UsageError) as error:
        read_timestamps(file)
    assert str(error.value).startswith(f"{file}:2: ")
