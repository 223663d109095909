"""A running server that cuts texts into short passages."""

import json
from pathlib import Path

import pytest

import chaja
from chaja.v1 import (
    Document,
    Field,
    GetServerInfoRequest,
    Hit,
    LocalizedText,
    SearchRequest,
    TextUnit,
    Upsert,
    UpsertDocumentsRequest,
)
from sample.server_process import running_server
from tests.conftest import server_flags

SENTENCES = ["가나다라 마바사.", "아자차카 타파하.", "abcdefg hijklm."]
TEXT = " ".join(SENTENCES)


@pytest.fixture
def flags(tmp_path: Path, tiny_bundle: Path) -> list[str]:
    catalogue = tmp_path / "catalogue.jsonl"
    rows = [{"id": "long", "title": "제목", "text": TEXT}, {"id": "short", "title": "환율", "text": "오늘 환율"}]
    catalogue.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return server_flags(tiny_bundle, catalogue, "--data", str(tmp_path / "data"))


def vectors_and_revision(client: chaja.Client) -> tuple[int, str]:
    info = client.info.GetServerInfo(GetServerInfoRequest())
    return info.catalogue.vector_count, info.model.revision


def first(client: chaja.Client, query: str) -> Hit:
    request = SearchRequest(query=query, limit=1, highlight=TextUnit.TEXT_UNIT_CODE_POINT)
    return client.search.Search(request).hits[0]


def test_hits_name_the_passage_that_matches_and_the_setting_can_change(flags: list[str]) -> None:
    found = []
    for tokens in ("0", "14", "0"):
        more = ["--passage-tokens", tokens, "--passage-overlap-tokens", "0"]
        with running_server([*flags, *more]) as server, chaja.connect(server.address) as client:
            found.append(vectors_and_revision(client))
            assert first(client, TEXT).highlights.passage == TEXT
            if tokens == "0":
                continue
            for sentence in SENTENCES:
                hit = first(client, f"제목 {sentence}")
                assert (hit.document_id, hit.match.field) == ("long", Field.FIELD_TEXT)
                assert hit.highlights.passage == sentence
                assert TEXT[hit.match.start : hit.match.end] == sentence
            written = Document(id="new", titles=[LocalizedText(text="새")], texts=[LocalizedText(text=TEXT)])
            client.catalog.UpsertDocuments(UpsertDocumentsRequest(upserts=[Upsert(document=written)]))
            assert vectors_and_revision(client)[0] == found[-1][0] + 5
            assert first(client, f"새 {SENTENCES[1]}").document_id == "new"
    assert [count for count, _ in found] == [4, 7, 6]
    assert found[0][1] == found[2][1] != found[1][1]
