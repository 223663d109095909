import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from server.catalogue.catalogue import load_catalogue
from server.catalogue.document import Document, Field, Part, parts_of
from server.errors import CatalogueError

GOOD = {"id": "a", "title": "A"}


def write_lines(path: Path, *lines: dict[str, Any] | str) -> Path:
    texts = [line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines]
    path.write_text("".join(text + "\n" for text in texts), encoding="utf-8")
    return path


def test_every_field_language_and_example_is_a_separate_part(tmp_path: Path) -> None:
    document = {
        "id": "card-lost",
        "title": {"ko": "카드 분실", "en": "Lost card"},
        "text": "정지해요",
        "examples": ["지갑 두고 내림", "left my purse"],
        "attributes": {"category": "card", "age": 14, "rate": 0.5, "open": True, "tags": ["a", 1]},
    }
    first, second = load_catalogue(write_lines(tmp_path / "c.jsonl", GOOD, "", document))
    assert parts_of(first) == [Part(Field.TITLE, "", "A")]
    assert parts_of(second) == [
        Part(Field.TITLE, "ko", "카드 분실"),
        Part(Field.TITLE, "en", "Lost card"),
        Part(Field.TEXT, "", "정지해요"),
        Part(Field.EXAMPLE, "", "지갑 두고 내림"),
        Part(Field.EXAMPLE, "", "left my purse"),
    ]
    assert second.attributes == document["attributes"]


def test_a_title_is_in_the_requested_language_or_else_the_first_one() -> None:
    both = Document(id="a", title={"ko": "가", "en": "A"})
    assert [both.title_in(code) for code in ("en", "ko", "fr", "")] == ["A", "가", "가", "가"]
    assert [both.title_in(code) for code in ("en-US", "EN", "en_GB", "ko-KR", "fr-FR", "?")] == ["A"] * 3 + ["가"] * 3
    assert Document(id="a", title="A").title_in("ko") == "A"
    assert Document(id="a", text="no title").title_in("ko") == ""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "b", "title": "B"', "Input data was truncated"),
        ("not json", "JSON is malformed"),
        ('["a list"]', "Expected `object`, got `array`"),
        ('{"title": "B"}', "Object missing required field `id`"),
        ('{"id": "", "title": "B"}', "Expected `str` of length >= 1 - at `$.id`; it is empty: fill it"),
        ('{"id": "  ", "title": "B"}', "id is blank"),
        ('{"id": 3, "title": "B"}', "Expected `str`, got `int` - at `$.id`; put it in quotes"),
        ('{"id": "b"}', "there is nothing to search: give it a title, a text or an example"),
        ('{"id": "b", "title": " "}', "title is blank: fill it or leave it out"),
        ('{"id": "b", "title": {"ko": ""}}', "title in ko is blank"),
        ('{"id": "b", "title": {"en": "B", "EN": "C"}}', "title has en and EN, which are the same language: keep one"),
        ('{"id": "b", "text": {"ko-KR": "B", "ko_kr": "C"}}', "text has ko-KR and ko_kr, which are the same language"),
        ('{"id": "b", "title": "B", "examples": ["x", " "]}', "example 2 is blank"),
        ('{"id": "b", "titel": "B"}', "with the fields id, title, text, examples, attributes"),
        (
            '{"service_id": "b"}',
            "unknown field `service_id`; perhaps id is meant; write one JSON object per line, with ",
        ),
        ('{"serviceId": "b"}', "perhaps id is meant"),
        ('{"id": "b", "titel": "B"}', "perhaps title is meant"),
        ('{"id": "b", "category": "B"}', "unknown field `category`; put it into attributes"),
        ('{"id": "b", "title": null}', "got `null` - at `$.title`; leave it out"),
        ('{"id": null}', "got `null` - at `$.id`; fill it"),
        ('{"id": "b", "title": {"en": "B", "ko": null}}', "got `null` - at `$.title.ko`; leave it out"),
        ('{"id": "b", "title": "B", "examples": ["x", 3]}', "got `int` - at `$.examples[1]`"),
        ('{"id": "b", "title": "B", "attributes": {"x": 1, "y": null}}', "at `$.attributes.y`; leave it out"),
        ('{"id": "b", "title": "B", "attributes": {"x": 1, "y": [{}]}}', "got `object` - at `$.attributes.y[0]`"),
        (
            '{"id": "b", "title": "B", "attributes": {"x": 9007199254740993}}',
            "attribute x: 9007199254740993 is too large",
        ),
        (
            '{"id": "b", "title": "B", "attributes": {"x": 1e999}}',
            "Number out of range - at `$.attributes[...]`; put it in quotes",
        ),
        ('{"id": "b", "title": "B", "attributes": {"x": ' + "[" * 100_000, "got `array` - at `$.attributes[...][0]`"),
        ('{"id": "b", "title": "B", "attributes": ' + '{"x": ' * 100_000, "got `object` - at `$.attributes[...]`"),
        ('{"id": "b", "title": "B", "titel": ' + "[" * 100_000, "perhaps title is meant"),
        ('{"id": "a", "title": "B"}', "id 'a' is already in line 1: keep one"),
    ],
)
def test_the_error_of_a_wrong_line_names_file_and_line(tmp_path: Path, line: str, message: str) -> None:
    path = write_lines(tmp_path / "c.jsonl", GOOD, "", line)
    with pytest.raises(CatalogueError) as raised:
        load_catalogue(path)
    assert str(raised.value).startswith(f"{path}:3: ")
    assert message in str(raised.value)


LINE = json.dumps(GOOD) + "\n"

FORMATS: dict[str, tuple[str | bytes, str]] = {
    "an array": ('[{"id": "a", "title": "A"}]', "is a JSON array; write one object per line: jq -c '.[]' "),
    "an array over lines": ('[\n  {"id": "a"}\n]\n', "is a JSON array; write one object per line: jq -c '.[]' "),
    "an object over lines": (
        '{\n  "id": "a"\n}\n',
        "continues on the next line; write one object per line: jq -c '.' ",
    ),
    "CSV": ("id,title\na,A\n", "looks like CSV"),
    "tabs after a byte order mark": ("\ufeffid\ttitle\na\tA\n", "looks like CSV"),
    "gzip": (gzip.compress(LINE.encode()), "is compressed: decompress it: gzip -dc "),
    "UTF-16": (LINE.encode("utf-16"), "is UTF-16, not UTF-8: convert it: iconv -f UTF-16 -t UTF-8 "),
    "UTF-16 without a mark": (LINE.encode("utf-16-le"), "iconv -f UTF-16LE -t UTF-8 "),
    "an object around the documents": ('{"documents": [{"id": "a"}]}', """jq -c '.["documents"][]'"""),
}


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_in_another_format_gets_the_command_that_converts_it(tmp_path: Path, format: str) -> None:
    content, advice = FORMATS[format]
    path = tmp_path / "c.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(CatalogueError) as raised:
        load_catalogue(path)
    assert str(raised.value).startswith(f"{path}:1: ")
    assert advice in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_ends_within_a_line_is_said_to_be_cut(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(LINE + '{"id": "b", "ti', encoding="utf-8")
    with pytest.raises(CatalogueError, match=r"c\.jsonl:2: .* the file ends within it: write the file again in full"):
        load_catalogue(path)


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(GOOD).encode())
    assert len(load_catalogue(path)) == 1


def test_an_empty_or_missing_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="has no documents"):
        load_catalogue(write_lines(tmp_path / "empty.jsonl", "", " "))
    with pytest.raises(CatalogueError, match="cannot be read: No such file or directory"):
        load_catalogue(tmp_path / "missing.jsonl")
    os.mkfifo(tmp_path / "pipe")
    for special in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(CatalogueError, match="is not a regular file: write the lines to one"):
            load_catalogue(special)
    with pytest.raises(CatalogueError, match="cannot be read: Is a directory"):
        load_catalogue(tmp_path)


def test_a_file_in_another_encoding_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_bytes('{"id": "a", "title": "A"}\n{"id": "b", "title": "한국어"}'.encode("cp949"))
    with pytest.raises(CatalogueError, match=r"c\.jsonl:2: the line is not UTF-8: save the file as UTF-8"):
        load_catalogue(path)


def test_a_document_with_too_many_elements_is_rejected(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "c.jsonl", GOOD, {"id": "many", "examples": ["x"] * 30_001})
    with pytest.raises(CatalogueError, match=r":2: has 30001 titles, texts, examples .*at most 30000 .*: split it$"):
        load_catalogue(path)


def test_a_line_is_rejected_before_more_than_its_limit_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.catalogue.jsonl.MAX_LINE_BYTES", 100)
    path = write_lines(tmp_path / "c.jsonl", GOOD, '{"id": "long", "title": "' + "x" * 200 + '"}')
    with pytest.raises(CatalogueError, match=":2: the line has more than 100 bytes: write one object per line"):
        load_catalogue(path)
