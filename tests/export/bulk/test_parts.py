from decimal import Decimal
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from export.bulk import parts
from export.bulk.parts import files_of, parts_of
from server.catalogue.catalogue import load_catalogue, problem_of
from server.catalogue.document import Document
from server.errors import CatalogueError
from tests.export.bulk.making import rows, write_jsonl, write_parquet


def documents_of(path: Path) -> list[Document]:
    return [document for part in parts_of(path) for _, document in part.read()]


def write_columns(path: Path, **columns: object) -> Path:
    parquet.write_table(pyarrow.table(columns), path)
    return path


TWICE = pyarrow.StructArray.from_arrays([pyarrow.array([1]), pyarrow.array([2])], ["x", "x"])
"""A struct with a field twice."""


@pytest.mark.parametrize("part_bytes", [1, 300, 4000, 2**23])
def test_the_parts_of_a_file_are_its_documents(
    part_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PART_BYTES", part_bytes)
    path = write_jsonl(tmp_path / "c.jsonl", rows(50))
    assert documents_of(path) == load_catalogue(path)


def test_parquet_has_the_documents_of_jsonl(tmp_path: Path) -> None:
    made = rows(700)
    path = write_parquet(tmp_path / "c.parquet", made, group_rows=300)
    assert documents_of(path) == load_catalogue(write_jsonl(tmp_path / "c.jsonl", made))
    found = [(part.place(number), document.id) for part in parts_of(path) for number, document in part.read()]
    assert found[0] == (f"{path}, row 1", "document 0")
    assert found[-1] == (f"{path}, row 700", "document 699")


def test_the_end_of_a_name_may_be_in_capitals(tmp_path: Path) -> None:
    paths = [write_jsonl(tmp_path / "A.JSONL", rows(3)), write_parquet(tmp_path / "B.PARQUET", rows(3))]
    assert files_of([tmp_path]) == paths
    assert documents_of(paths[0]) == documents_of(paths[1])


def test_decimals_are_numbers_as_in_jsonl(tmp_path: Path) -> None:
    whole = pyarrow.array([Decimal(2**53 + 1)], pyarrow.decimal128(38, 0))
    many = pyarrow.array([[Decimal(7)]], pyarrow.list_(pyarrow.decimal128(38, 0)))
    price = pyarrow.array([Decimal("12.50")], pyarrow.decimal128(10, 2))
    attributes = pyarrow.StructArray.from_arrays([whole, many, price], ["whole", "many", "price"])
    (found,) = documents_of(write_columns(tmp_path / "c.parquet", id=["a"], title=["A"], attributes=attributes))
    assert found == Document(id="a", title="A", attributes={"whole": 2**53 + 1, "many": [7], "price": 12.5})
    assert isinstance(found.attributes["whole"], int)
    assert "whole" in str(problem_of(found, max_document_characters=100))


def test_plain_columns_are_documents(tmp_path: Path) -> None:
    path = write_columns(tmp_path / "c.parquet", id=["a", "b"], title=["가", None], text=[None, "B"])
    assert documents_of(path) == [Document(id="a", title="가"), Document(id="b", text="B")]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"title": ["A"]}, "c.parquet has no column id; the columns are id, title, text, examples, attributes"),
        ({"id": ["a"], "titel": ["A"]}, "has the unknown column 'titel'"),  # codespell:ignore
        ({"id": ["a", None], "title": ["A", "B"]}, "row 2: Object missing required field `id`; fill it"),
        ({"id": [1], "title": ["A"]}, r"row 1: Expected `str`, got `int` - at `\$.id`; convert the column"),
        ({"id": [b"a"], "title": ["A"]}, "row 1: Expected `str`, got `bytes`"),
        ({"id": ["a"], "title": ["A"], "attributes": [{"x": float("nan")}]}, "row 1: attribute x is not a finite"),
        (
            {"id": ["a"], "title": ["A"], "examples": [["b", None]]},
            "got `null` - at .*; leave it out",
        ),
        (
            {"id": ["a"], "title": pyarrow.array([2**62], pyarrow.timestamp("us"))},
            "rows 1 to 1: a value cannot be read",
        ),
        ({"id": ["a"], "title": ["A"], "attributes": TWICE}, "rows 1 to 1: a value cannot be read"),
    ],
)
def test_a_wrong_row_or_column_is_named(columns: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=message):
        documents_of(write_columns(tmp_path / "c.parquet", **columns))


def test_a_map_with_a_key_twice_is_an_error(tmp_path: Path) -> None:
    title = pyarrow.array([[("ko", "가"), ("ko", "나")]], type=pyarrow.map_(pyarrow.string(), pyarrow.string()))
    with pytest.raises(CatalogueError, match=r"rows 1 to 1: a map has a key twice"):
        documents_of(write_columns(tmp_path / "c.parquet", id=["a"], title=title))


def test_a_text_that_is_not_utf_8_is_an_error(tmp_path: Path) -> None:
    title = pyarrow.array([b"\xff"]).view(pyarrow.string())
    with pytest.raises(CatalogueError, match="a text is not UTF-8"):
        documents_of(write_columns(tmp_path / "c.parquet", id=["a"], title=title))


@pytest.mark.parametrize("content", [b"", b"PAR1", b'{"id": "a"}\n', b"PAR1" + bytes(range(256)) + b"PAR1"])
def test_a_file_that_is_not_parquet_is_an_error(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "c.parquet"
    path.write_bytes(content)
    with pytest.raises(CatalogueError, match=r"c\.parquet is not a Parquet file, or is damaged: write it again"):
        documents_of(path)


def test_damaged_pages_are_an_error(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "c.parquet", rows(300))
    content = bytearray(path.read_bytes())
    content[4:200] = b"\xff" * 196
    path.write_bytes(content)
    with pytest.raises(CatalogueError, match=r"c\.parquet .*damaged: write it again"):
        documents_of(path)


def test_a_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    for name in ("no.parquet", "no.jsonl"):
        with pytest.raises(CatalogueError, match=f"{name} cannot be read: No such file or directory$"):
            documents_of(tmp_path / name)


def test_a_folder_stands_for_its_files_in_order(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.parquet", "c/d.jsonl", "_SUCCESS", ".a.jsonl", "_tmp/e.jsonl", "readme.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    named = tmp_path / "readme.md"
    found = files_of([named, tmp_path])
    assert found == [named, *(tmp_path / name for name in ("a.parquet", "b.jsonl", "c/d.jsonl"))]


def test_a_folder_without_files_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"has no files whose names end with \.jsonl or \.parquet"):
        files_of([tmp_path])
