import json
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


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("jsonl", '{"query": "a", "limit": 3}\n\n{"query": "b", "limit": 4}\n'),
        ("json", '[{"query": "a", "limit": 3}, {"query": "b", "limit": 4}]'),
        ("json", '\ufeff\n[\n  {"query": "a", "limit": 3},\n  {"query": "b", "limit": 4}\n]\n'),
    ],
)
def test_json_arrays_and_json_lines_hold_the_same_rows(tmp_path: Path, name: str, content: str) -> None:
    file = tmp_path / f"queries.{name}"
    file.write_text(content, encoding="utf-8")
    fields: list[dict[str, Any]] = [{"query": "a", "limit": 3}, {"query": "b", "limit": 4}]
    assert read_queries(file) == [Query("0", fields[0]), Query("1", fields[1])]
    assert [payload.template for payload in read_payloads(file)] == fields


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("csv", 'query,limit,note\r\n"따뜻한, ""외투""",3,\r\n"two\r\nlines",4,x\r\n'),
        ("tsv", '\ufeffquery\tlimit\tnote\n"따뜻한, ""외투"""\t3\t\n\n"two\r\nlines"\t4\tx'),
        ("CSV", 'query, limit ,note\n"따뜻한, ""외투""",3,\n"two\r\nlines",4,x\n'),
    ],
)
def test_a_table_has_a_header(tmp_path: Path, name: str, content: str) -> None:
    file = tmp_path / f"queries.{name}"
    file.write_bytes(content.encode())
    first, second = read_queries(file)
    assert first.fields == {"query": '따뜻한, "외투"', "limit": "3", "note": ""}
    assert second.fields == {"query": "two\r\nlines", "limit": "4", "note": "x"}
    assert read_payloads(file)[0].template == {"query": '따뜻한, "외투"', "limit": "3"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("query,limit\na\n", r"q\.csv:2: the header has 2 columns, this row 1"),
        ("query,limit\na,1\nb,2,3\n", r"q\.csv:3: the header has 2 columns, this row 3"),
        ("query,query\na,b\n", r"q\.csv:1: the header needs a different name for each column"),
        ("query,\na,b\n", r"q\.csv:1: the header needs a different name for each column"),
        ('query\n"a" b\n', r"q\.csv:2: not CSV: "),
        ('query\n"a\n', r"q\.csv:2: not CSV: "),
        ("query\n", r"q\.csv has no queries"),
        ("", r"q\.csv has no queries"),
    ],
)
def test_a_malformed_table_is_named(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "q.csv"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=message) as error:
        read_queries(file)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", ['["a", {"query": "b"}]', '[{"query": "a"}, 3]', '["a", null]'])
def test_an_array_holds_one_kind_of_rows(file: Path, content: str) -> None:
    file.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=r"queries, element 2: expected an array of objects, or of texts"):
        read_queries(file)


def test_an_array_of_texts_holds_queries(file: Path) -> None:
    file.write_text('["a", "b"]', encoding="utf-8")
    assert [query.fields for query in read_queries(file)] == [{"query": "a"}, {"query": "b"}]
    with pytest.raises(UsageError, match=r"queries, element 1: expected a JSON object"):
        read_payloads(file)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("q.json", '[{"query": "a"},', r"q\.json: not JSON: "),
        ("q.JSON", "[1, 2]", r"element 1: expected an array of objects, or of texts"),
        ("q.json", "null", r"q\.json:1: expected a JSON object"),
        ("q.json", "[]", r"q\.json has no queries"),
        ("q.jsonl", "plain\n", r"q\.jsonl:1: not JSON: "),
        ("q.jsonl", '"a"\n{"query": "b"}\n', r"q\.jsonl:2: expected a JSON text"),
        ("q.ndjson", '{"query": "a"}\n"b"\n', r"q\.ndjson:2: expected a JSON object"),
    ],
)
def test_a_file_with_the_name_of_json_is_no_plain_text(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        read_queries(tmp_path / name)


def test_a_line_of_json_may_be_a_text(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text('"a"\n\n"b\\n"\n', encoding="utf-8")
    assert [query.fields["query"] for query in read_queries(tmp_path / "q.jsonl")] == ["a", "b\n"]


def test_a_cell_may_be_long(tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_text("query\n" + "a" * 200_000, encoding="utf-8")
    assert len(read_queries(tmp_path / "q.csv")[0].fields["query"]) == 200_000


def test_brackets_that_are_no_array_are_plain_text(file: Path) -> None:
    file.write_text("[1]\n[a\n", encoding="utf-8")
    assert [query.fields["query"] for query in read_queries(file)] == ["[1]", "[a"]
    file.write_text("[1]\n", encoding="utf-8")
    assert [query.fields["query"] for query in read_queries(file)] == ["[1]"]


def test_a_file_may_hold_one_object_on_several_lines(file: Path) -> None:
    file.write_text('{\n  "query": "a"\n}\n', encoding="utf-8")
    assert read_queries(file) == [Query("0", {"query": "a"})]


@settings(max_examples=200, deadline=None)
@given(
    content=st.binary(max_size=60) | st.text(max_size=40).map(str.encode), suffix=st.sampled_from(["", ".csv", ".json"])
)
def test_any_file_is_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, suffix: str
) -> None:
    file = tmp_path_factory.getbasetemp() / f"anything{suffix}"
    file.write_bytes(content)
    for read in (read_queries, read_payloads, read_timestamps):
        lines = 1
        try:
            read(file)
        except UsageError as error:
            lines = str(error).count("\n") + 1
        assert lines == 1


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


def test_tables_may_have_timestamps(tmp_path: Path) -> None:
    file = tmp_path / "arrivals.csv"
    file.write_text("query,timestamp\na,5\nb,6.5\n", encoding="utf-8")
    assert read_timestamps(file) == [5.0, 6.5]


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


def test_a_device_that_does_not_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadtest.requests.rows.LARGEST_PIPE_BYTES", 1000)
    with pytest.raises(UsageError, match="/dev/zero cannot be read: more than 1,000 bytes, and not a file"):
        read_queries(Path("/dev/zero"))
