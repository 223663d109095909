import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from export.bulk import checking, parts
from export.bulk.checking import Plan, check, check_unchanged, read_again
from server.catalogue.document import content_of
from server.catalogue.store import Store
from server.encoding.bundle import Bundle
from server.encoding.documents import encode_documents
from server.errors import CatalogueError
from tests.export.bulk.making import rows, write_jsonl, write_parquet


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    (tmp_path / "data").mkdir()
    with contextlib.closing(Store(tmp_path / "data")) as store:
        yield store


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART_BYTES", 2000)
    monkeypatch.setattr(checking, "STRETCH_DOCUMENTS", 7)


def checked(store: Store, *files: Path, revision: str = "one", most: int = 1000) -> Plan:
    return check(files, store, revision=revision, max_document_characters=most, progress=lambda _: None)


def contents(plan: Plan) -> list[bytes]:
    return [content for work in plan.works for content in read_again(work)]


def put(store: Store, bundle: Bundle, path: Path, numbers: range) -> None:
    documents = [document for part in parts.parts_of(path) for _, document in part.read()]
    encoded = encode_documents(documents, bundle)
    with store.write() as transaction:
        for number in numbers:
            transaction.put(documents[number], encoded[number], revision=bundle.manifest.revision)


def test_all_documents_of_an_empty_store_have_to_be_encoded(store: Store, tmp_path: Path) -> None:
    first, second = (
        write_jsonl(tmp_path / "a.jsonl", rows(60)),
        write_parquet(tmp_path / "b.parquet", rows(40, start=60)),
    )
    plan = checked(store, first, second)
    assert (plan.documents, plan.wanted) == (100, 100)
    documents = [document for path in (first, second) for part in parts.parts_of(path) for _, document in part.read()]
    assert contents(plan) == list(map(content_of, documents))


def test_documents_with_the_models_vectors_are_left_out(store: Store, tmp_path: Path, tiny_bundle: Path) -> None:
    bundle = Bundle(tiny_bundle)
    path = write_jsonl(tmp_path / "a.jsonl", rows(60))
    put(store, bundle, path, range(50))
    changed = [row | {"title": "new"} if row["id"] == "document 3" else row for row in rows(60)]
    plan = checked(store, write_jsonl(path, changed), revision=bundle.manifest.revision)
    assert (plan.documents, plan.wanted) == (60, 11)
    assert [content.split(b'"')[3].decode() for content in contents(plan)] == [
        f"document {number}" for number in (3, *range(50, 60))
    ]
    assert checked(store, path, revision="another").wanted == 60
    put(store, bundle, path, range(60))
    assert checked(store, path, revision=bundle.manifest.revision).works == []


@pytest.mark.parametrize("change", ["changed", "shorter", "longer"])
@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_file_that_changes_after_its_check_is_an_error(kind: str, change: str, store: Store, tmp_path: Path) -> None:
    write = write_jsonl if kind == "jsonl" else write_parquet
    path = write(tmp_path / f"a.{kind}", rows(20))
    plan = checked(store, path)
    others = {"changed": rows(20, start=100), "shorter": rows(12), "longer": [*rows(1, start=100), *rows(20)]}
    write(path, others[change])
    with pytest.raises(CatalogueError, match=rf"a\.{kind}"):
        contents(plan)


def test_rows_after_the_last_whole_stretch_of_a_row_group_are_a_change(store: Store, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", rows(2 * checking.STRETCH_DOCUMENTS))
    plan = checked(store, path)
    write_parquet(path, rows(2 * checking.STRETCH_DOCUMENTS + 1))
    with pytest.raises(CatalogueError, match=r"a\.parquet differs from what was checked"):
        contents(plan)


@pytest.mark.parametrize("change", ["appended", "replaced", "removed"])
@pytest.mark.parametrize("is_stored", [False, True])
def test_a_change_that_no_part_shows_is_an_error(
    change: str, is_stored: bool, store: Store, tmp_path: Path, tiny_bundle: Path
) -> None:
    bundle = Bundle(tiny_bundle)
    path = write_jsonl(tmp_path / "a.jsonl", rows(20))
    if is_stored:
        put(store, bundle, path, range(20))
    plan = checked(store, path, revision=bundle.manifest.revision)
    assert bool(plan.works) is not is_stored
    check_unchanged(plan)
    if change == "appended":
        write_jsonl(path, rows(21))
        assert len(contents(plan)) == plan.wanted  # The new line is in no part.
    elif change == "replaced":
        write_jsonl(tmp_path / "b.jsonl", rows(20)).replace(path)
    else:
        path.unlink()
    with pytest.raises(CatalogueError, match=r"a\.jsonl (differs from what was checked|cannot be read)"):
        check_unchanged(plan)


def test_an_id_that_occurs_twice_is_an_error(store: Store, tmp_path: Path) -> None:
    first, second = (
        write_jsonl(tmp_path / "a.jsonl", rows(60)),
        write_parquet(tmp_path / "b.parquet", rows(9, start=55)),
    )
    with pytest.raises(CatalogueError) as raised:
        checked(store, first, second)
    assert str(raised.value) == (f"{second}, row 1: id 'document 55' is already in {first}:56: keep one of the two")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"id": " ", "title": "A"}, r"a\.jsonl:31: id is blank"),
        ({"id": "x"}, r"a\.jsonl:31: there is nothing to search"),
        ({"id": "x", "title": "A" * 1001}, r"a\.jsonl:31: has 1002 characters in all; at most 1000 are allowed"),
        ({"id": "x", "titel": "A"}, r"a\.jsonl:31: Object contains unknown field `titel`"),  # codespell:ignore
    ],
)
def test_an_invalid_document_is_named(row: dict[str, object], message: str, store: Store, tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=message):
        checked(store, write_jsonl(tmp_path / "a.jsonl", [*rows(30), row, *rows(9, start=30)]))


def test_files_without_documents_are_an_error(store: Store, tmp_path: Path) -> None:
    first, second = write_jsonl(tmp_path / "a.jsonl", []), write_parquet(tmp_path / "b.parquet", [])
    with pytest.raises(CatalogueError, match=r"a\.jsonl has no documents"):
        checked(store, first)
    with pytest.raises(CatalogueError, match=r"a\.jsonl and 1 other files have no documents"):
        checked(store, first, second)
    assert checked(store, first, write_jsonl(tmp_path / "c.jsonl", rows(1)), second).documents == 1
