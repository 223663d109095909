import json
from pathlib import Path

import pytest

from server.catalogue.changes import Delete
from server.catalogue.document import Document
from server.errors import CatalogueError
from server.writing import file_import
from tests.server.catalogue.stores import execute
from tests.server.making import WatchedBundle
from tests.server.writing.making import Core, running, summary, titled, upserts


def write(path: Path, **titles: str) -> Path:
    lines = [json.dumps({"id": id, "title": title}, ensure_ascii=False) for id, title in titles.items()]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def ids(core: Core) -> list[str]:
    return [stored.document.id for stored in core.store.page("", 1000)]


async def test_only_changed_documents_are_encoded(core: Core, tmp_path: Path) -> None:
    file = write(tmp_path / "c.jsonl", a="환율", b="달러", c="유로")
    await core.import_file(file)
    assert await core.found("환율") == ["a", "b", "c"]
    core.bundle.batches.clear()
    await core.import_file(file)
    assert (core.bundle.batches, core.store.sequence) == ([], 3)
    await core.import_file(write(file, c="유로", a="환율", b="엔화", d="위안"))
    assert sum(map(len, core.bundle.batches)) == 2
    assert (core.bundle.times_encoded("엔화"), core.bundle.times_encoded("위안")) == (1, 1)
    assert [core.store.page("", 9)[place].version for place in range(4)] == [1, 4, 3, 5]


async def test_a_document_removed_from_the_file_is_deleted(core: Core, tmp_path: Path) -> None:
    file = write(tmp_path / "c.jsonl", a="환율", b="달러", c="유로")
    await core.import_file(file)
    await core.import_file(write(file, b="달러"))
    assert ids(core) == ["b"]
    assert await core.found("환율") == ["b"]
    await core.import_file(write(file, a="환율", b="달러"))
    assert ids(core) == ["a", "b"]


async def test_documents_written_by_the_api_stay(core: Core, tmp_path: Path) -> None:
    await core.writer.upsert(upserts(titled("api")))
    file = write(tmp_path / "c.jsonl", a="환율", b="달러", c="유로")
    await core.import_file(file)
    await core.writer.upsert(upserts(titled("a", "by hand")))
    await core.writer.delete([Delete("b")])
    await core.import_file(write(file, a="환율", b="달러", c="파운드"))
    assert ids(core) == ["a", "api", "c"], "the lines of a and b have not changed"
    assert core.stored("a").document.title == "by hand"
    await core.import_file(write(file, a="환율 2", c="파운드"))
    assert core.stored("a").document.title == "환율 2"
    assert ids(core) == ["a", "api", "c"]


async def test_a_document_of_the_api_that_appears_in_the_file_belongs_to_the_file(core: Core, tmp_path: Path) -> None:
    await core.writer.upsert(upserts(titled("a", "환율")))
    core.bundle.batches.clear()
    file = write(tmp_path / "c.jsonl", a="환율", b="달러")
    await core.import_file(file)
    assert core.bundle.times_encoded("환율") == 0, "it is stored already"
    await core.import_file(write(file, b="달러"))
    assert ids(core) == ["b"]


@pytest.mark.parametrize(("before", "now", "max_shrink"), [(62, 1, 0.2), (62, 1, 0.98), (62, 49, 0.2), (5, 1, 0.2)])
async def test_a_file_that_shrinks_by_more_than_a_share_is_refused(
    core: Core, tmp_path: Path, before: int, now: int, max_shrink: float
) -> None:
    file = write(tmp_path / "c.jsonl", **{f"d{number}": "환율" for number in range(before)})
    await core.import_file(file, max_shrink=max_shrink)
    write(file, **{f"d{number}": "환율" for number in range(now)})
    counts = rf"c\.jsonl lacks {before - now} of the {before} documents .* set --max-catalogue-shrink to 0\.\d+ or more"
    with pytest.raises(CatalogueError, match=counts):
        await core.import_file(file, max_shrink=max_shrink)
    assert len(ids(core)) == before


async def test_a_file_whose_ids_have_all_changed_is_refused(core: Core, tmp_path: Path) -> None:
    file = write(tmp_path / "c.jsonl", **{f"d{number}": "환율" for number in range(10)})
    await core.import_file(file, max_shrink=0.2)
    write(file, **{f"e{number}": "환율" for number in range(10)})
    with pytest.raises(CatalogueError, match=r"lacks 10 of the 10 documents"):
        await core.import_file(file, max_shrink=0.2)
    assert ids(core) == [f"d{number}" for number in range(10)]


@pytest.mark.parametrize(
    ("before", "now", "max_shrink"), [(62, 1, 0.99), (62, 50, 0.2), (62, 1, 1), (5, 2, 0), (5, 9, 0)]
)
async def test_a_file_that_shrinks_by_less_is_imported(
    core: Core, tmp_path: Path, before: int, now: int, max_shrink: float
) -> None:
    file = write(tmp_path / "c.jsonl", **{f"d{number}": "환율" for number in range(before)})
    await core.import_file(file, max_shrink=max_shrink)
    await core.import_file(write(file, **{f"d{number}": "환율" for number in range(now)}), max_shrink=max_shrink)
    assert len(ids(core)) == now


async def test_the_documents_of_a_file_obey_the_limit_of_characters(core: Core, tmp_path: Path) -> None:
    file = tmp_path / "c.jsonl"
    document = {"id": "ab", "title": {"ko": "환율"}, "text": "cde", "examples": ["f"], "attributes": {"g": ["hi", 7]}}
    file.write_text(json.dumps(document) + "\n", encoding="utf-8")
    with pytest.raises(CatalogueError, match=r"c\.jsonl:1: has 13 characters in all; at most 12 are allowed: split it"):
        await core.import_file(file, max_document_characters=12)
    assert ids(core) == []
    await core.import_file(file, max_document_characters=13)
    assert ids(core) == ["ab"]


WRONG = {
    "no text": {"id": "d"},
    "an id twice": {"id": "a", "title": "x"},
    "no room for a text": {"id": "d", "title": "x" * 70, "text": "y"},
    "the model fails": {"id": "d", "title": "poison"},
    "the disk is full": {"id": "d", "title": "x", "attributes": {"y": "z" * 100_000}},
}


@pytest.mark.parametrize("wrong", [*WRONG, "half a line"])
async def test_a_file_that_cannot_be_imported_changes_nothing(tmp_path: Path, titled_bundle: Path, wrong: str) -> None:
    async with running(tmp_path / "data", titled_bundle) as core:
        file = write(tmp_path / "c.jsonl", a="환율", b="달러")
        await core.import_file(file)
        write(file, a="changed", c="new")
        with file.open("a", encoding="utf-8") as more:
            more.write(json.dumps(WRONG[wrong]) if wrong in WRONG else "{")
        core.bundle.fails_on["poison"] = RuntimeError("the model broke")
        if wrong == "the disk is full":
            execute(core.store, "PRAGMA max_page_count = 1")
        with pytest.raises(CatalogueError, match="jsonl"):
            await core.import_file(file)
        assert (ids(core), core.store.sequence) == (["a", "b"], 2)
        assert sorted(await core.found("환율")) == ["a", "b"]
        execute(core.store, "PRAGMA max_page_count = 1000000")
        await core.import_file(write(file, a="changed"))
        assert ids(core) == ["a"]


async def test_a_large_file_is_imported_in_portions(
    core: Core, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_import, "PORTION_DOCUMENTS", 7)
    file = write(tmp_path / "c.jsonl", **{f"d{number:02}": f"title {number}" for number in range(20)}, z="gone")
    await core.import_file(file)
    await core.import_file(write(file, **{f"d{number:02}": f"changed {number}" for number in range(20)}))
    assert ids(core) == [f"d{number:02}" for number in range(20)]
    assert core.store.sequence == 42
    assert core.store.file_digests().keys() == set(ids(core))


async def test_a_restart_does_not_import_unchanged_documents_again(tmp_path: Path, tiny_bundle: Path) -> None:
    file = write(tmp_path / "c.jsonl", a="환율", b="달러")
    async with running(tmp_path / "data", tiny_bundle) as core:
        await core.import_file(file)
    async with running(tmp_path / "data", WatchedBundle(tiny_bundle)) as core:
        await core.import_file(file)
        assert core.bundle.batches == []
        assert sorted(await core.found("환율")) == ["a", "b"]
        assert summary(await core.writer.upsert(upserts(Document(id="a", title="환율")))) == [("a", 1, False, None)]
