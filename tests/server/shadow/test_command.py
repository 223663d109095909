"""Tests the command on real bundles, a store and catalogue files."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.catalogue.database import locked
from server.catalogue.document import Document
from server.catalogue.encoded import Versioned
from server.catalogue.feedback import Event, FeedbackKind, FeedbackLog, Promotion, record_promotions
from server.catalogue.store import Store
from server.commands import run
from server.encoding.bundle import Bundle
from server.encoding.cutting import Cutting
from server.encoding.manifest import read_manifest
from server.errors import BundleError, CatalogueError, ReportError, SettingsError, ShadowRefused, StoreError
from tests.server.making import versioned
from tests.tiny_bundle import make_bundle

TITLES = {"card": "카드 분실 신고", "loan": "전세 대출", "rate": "환율 조회"}
LEARNT = "지갑 잃어버렸어"


@pytest.fixture
def data(tmp_path: Path, bundle: Bundle) -> Path:
    """A store, whose document "card" has learnt an example query, with clicks on "card" and "loan"."""
    directory = tmp_path / "data"
    directory.mkdir()
    with contextlib.closing(Store(directory, durable=False)) as store:
        with store.write() as transaction:
            for id, title in TITLES.items():
                examples = [f"{title} 방법", *([LEARNT] if id == "card" else [])]
                document = Document(id=id, title=title, text=f"{title} 안내", examples=examples)
                vectors = versioned(bundle, document, 0).vectors
                assert vectors is not None
                transaction.put(document, vectors, revision=bundle.manifest.revision)
            record_promotions(transaction, [Promotion("card", LEARNT, 2)])
        clicks = [(LEARNT, "card"), ("전세 대출 받기", "loan"), ("환율", "rate")]
        FeedbackLog(store).record(
            [[Event(query + user, query, id, FeedbackKind.CLICKED, user) for query, id in clicks for user in "12"]]
        )
    return directory


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    path = tmp_path / "catalogue.jsonl"
    path.write_text("".join(json.dumps({"id": id, "title": title}) + "\n" for id, title in TITLES.items()))
    return path


@pytest.fixture
def queries(tmp_path: Path) -> Path:
    path = tmp_path / "queries.jsonl"
    rows = [{"query": f"{title} 방법", "relevant": [id]} for id, title in TITLES.items()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def shadow(tmp_path: Path, bundle: Path, *options: object) -> dict[str, Any]:
    path = tmp_path / "shadow.json"
    run(["shadow", "--bundle", str(bundle), "--json", str(path), *map(str, options)])
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return report


def test_another_bundle_is_compared_while_a_server_holds_the_store(
    tmp_path: Path, tiny_bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make_bundle(tmp_path / "other", seed=9, dimension=16, similarity="dot")
    with locked(data):
        report = shadow(tmp_path, tiny_bundle, "--data", data, "--new-bundle", other)
    assert (report["queries"], report["measured"], report["taught"]) == (3, 2, 1)
    assert [each["bundle"] for each in report["encode"]] == [str(tiny_bundle), str(other)]
    assert all(0 < each["p50"] <= each["p99"] for each in report["encode"])
    shown = capsys.readouterr()
    assert "Another similarity: cosine -> dot." in shown.out
    assert "Another dimension: 32 -> 16." in shown.out
    assert shown.err == f"encoding 3 documents with {other} …\n", "the store has the vectors of the other bundle"


def test_documents_are_compared_with_the_passages_of_the_server(
    tmp_path: Path, tiny_bundle: Path, data: Path, queries: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--data", data, "--queries", queries, "--examples", "none", "--new-examples", "all"]
    plain = shadow(tmp_path, tiny_bundle, *options)
    assert capsys.readouterr().err == "", "the store has the vectors of whole texts"
    cut = shadow(tmp_path, tiny_bundle, *options, "--passage-tokens", 4)
    assert capsys.readouterr().err == f"encoding 3 documents with {tiny_bundle} …\n"
    assert plain["old"]["revision"] != cut["old"]["revision"]
    assert cut["old"]["revision"] == read_manifest(tiny_bundle, cutting=Cutting(4)).revision


def test_learnt_example_queries_are_compared_with_the_catalogue_without_them(
    tmp_path: Path, tiny_bundle: Path, data: Path
) -> None:
    report = shadow(tmp_path, tiny_bundle, "--data", data, "--examples", "own")
    assert (report["old"]["examples"], report["new"]["examples"]) == (3, 4)
    assert len(report["encode"]) == 1
    dense = report["modes"][0]
    (learnt,) = [each for each in dense["changes"] if each["query"] == LEARNT]
    assert learnt["new"][0] == "card"
    assert dense["new_scores"]["p90"] > dense["old_scores"]["p90"]


def test_two_catalogue_files_are_compared(
    tmp_path: Path, tiny_bundle: Path, catalogue: Path, queries: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = tmp_path / "new.jsonl"
    new.write_text(catalogue.read_text() + '{"id": "more", "title": "전세 대출 방법"}\n')
    report = shadow(
        tmp_path, tiny_bundle, "--catalogue", catalogue, "--new-catalogue", new, "--queries", queries, "--mode", "dense"
    )
    (dense,) = report["modes"]
    assert dense["first_changed"] == pytest.approx(1 / 3)
    most_different = dense["changes"][0]
    assert most_different["query"] == "전세 대출 방법"
    assert (most_different["old"][0], most_different["new"][0]) == ("loan", "more")
    shown = capsys.readouterr().out
    assert " 1 *loan 전세 대출" in shown
    assert "|  more 전세 대출 방법" in shown


def test_each_side_shows_its_own_titles(
    tmp_path: Path, tiny_bundle: Path, catalogue: Path, queries: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"id": id, "title": title} for id, title in (TITLES | {"rate": "오늘의 환율"}).items()]
    new = tmp_path / "new.jsonl"
    new.write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = ["--catalogue", catalogue, "--new-catalogue", new, "--queries", queries]
    report = shadow(tmp_path, tiny_bundle, *options)
    assert (report["old_titles"]["rate"], report["new_titles"]["rate"]) == ("환율 조회", "오늘의 환율")
    shown = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if "rate " in line and " | " in line]
    assert any("rate 환율 조회" in old for old, _ in shown)
    assert any("rate 오늘의 환율" in new for _, new in shown)
    assert not any("오늘의" in old or "rate 환율 조회" in new for old, new in shown)


def test_a_change_of_the_store_while_it_is_read_is_no_difference(
    tmp_path: Path, tiny_bundle: Path, bundle: Bundle, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Store.after

    def changed_after_reading(store: Store, sequence: int, revision: str) -> Iterator[Versioned]:
        yield from read(store, sequence, revision)
        document = Document(id="rate", title=f"환율 {revision}")
        with contextlib.closing(Store(data, durable=False)) as server, server.write() as transaction:
            vectors = versioned(bundle, document, 0).vectors
            assert vectors is not None
            transaction.put(document, vectors, revision=bundle.manifest.revision)

    monkeypatch.setattr(Store, "after", changed_after_reading)
    with pytest.raises(SettingsError, match="both sides have the same model and the same documents"):
        shadow(tmp_path, tiny_bundle, "--data", data, "--new-bundle", tiny_bundle)
    other = make_bundle(tmp_path / "other", seed=9)
    report = shadow(tmp_path, tiny_bundle, "--data", data, "--new-bundle", other)
    assert report["old_titles"] == report["new_titles"]


def test_a_report_within_a_directory_that_is_read_is_refused(tmp_path: Path, tiny_bundle: Path, data: Path) -> None:
    other = make_bundle(tmp_path / "other", seed=9)
    (tmp_path / "link").symlink_to(data)
    for path, flag in (
        (data / "catalogue.sqlite", "--data"),
        (tmp_path / "link" / "report.json", "--data"),
        (tiny_bundle / "manifest.json", "--bundle"),
        (other / "vectors" / ".." / "manifest.json", "--new-bundle"),
    ):
        with pytest.raises(SettingsError, match=f"--json must name a file outside the directory of {flag}"):
            shadow(tmp_path, tiny_bundle, "--data", data, "--new-bundle", other, "--json", path)
    assert not (data / "report.json").exists()


def test_a_bound_that_is_missed_ends_with_an_error_after_the_report(
    tmp_path: Path, tiny_bundle: Path, catalogue: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    queries = tmp_path / "queries.jsonl"
    rows = [{"query": f"환율 조회 {number}", "relevant": ["rate"]} for number in range(20)]
    queries.write_text("".join(json.dumps(row) + "\n" for row in rows))
    new = tmp_path / "new.jsonl"
    new.write_text('{"id": "card", "title": "카드"}\n{"id": "loan", "title": "대출"}\n')
    options = ["--catalogue", catalogue, "--new-catalogue", new, "--queries", queries, "--mode", "dense"]
    shadow(tmp_path, tiny_bundle, *options, "--max-loss", 1, "--min-overlap", 0.1)
    with pytest.raises(ShadowRefused, match=r"R@1 of dense falls by 1.000, more than --max-loss 0.1; overlap@10 of"):
        shadow(tmp_path, tiny_bundle, *options, "--max-loss", 0.1, "--min-overlap", 0.9)
    assert "dense R@1" in capsys.readouterr().out


def test_sides_that_do_not_differ_are_refused(tmp_path: Path, tiny_bundle: Path, data: Path, catalogue: Path) -> None:
    message = "both sides have the same model and the same documents"
    with contextlib.closing(Store(data, durable=False)) as store, store.write() as transaction:
        transaction.connection.execute("DELETE FROM promotions")
    for options in (["--new-bundle", tiny_bundle], ["--new-examples", "own"]):
        with pytest.raises(SettingsError, match=message):
            shadow(tmp_path, tiny_bundle, "--data", data, *options)
    with pytest.raises(SettingsError, match="there is nothing to compare: set --new-bundle"):
        shadow(tmp_path, tiny_bundle, "--data", data)


def test_an_older_report_stays_if_nothing_can_be_compared(tmp_path: Path, tiny_bundle: Path, data: Path) -> None:
    report = tmp_path / "shadow.json"
    report.write_text("older")
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    for error, options in (
        (BundleError, ["--new-bundle", unfinished]),
        (CatalogueError, ["--new-examples", "none", "--queries", tmp_path / "missing.jsonl"]),
        (CatalogueError, ["--new-catalogue", tmp_path / "missing.jsonl"]),
        (SettingsError, ["--new-examples", "none", "--catalogue", tmp_path / "also.jsonl"]),
        (SettingsError, ["--new-examples", "none", "--queries", report]),
        (ReportError, ["--new-examples", "none", "--json", "/dev/null"]),
    ):
        with pytest.raises(error):
            shadow(tmp_path, tiny_bundle, "--data", data, *options)
    assert report.read_text() == "older"


def test_bounds_on_losses_need_measured_queries(tmp_path: Path, tiny_bundle: Path, data: Path, queries: Path) -> None:
    with pytest.raises(SettingsError, match="--max-loss needs queries whose right document is known"):
        shadow(tmp_path, tiny_bundle, "--data", data, "--new-examples", "none", "--queries", queries, "--max-loss", 0)


def test_a_store_without_documents_or_feedback_is_refused(tmp_path: Path, tiny_bundle: Path, catalogue: Path) -> None:
    directory = tmp_path / "data"
    directory.mkdir()
    Store(directory, durable=False).close()
    with pytest.raises(StoreError, match="has no documents"):
        shadow(tmp_path, tiny_bundle, "--data", directory, "--new-examples", "none")
    with pytest.raises(SettingsError, match="--catalogue needs --queries"):
        shadow(tmp_path, tiny_bundle, "--catalogue", catalogue, "--new-examples", "none")
