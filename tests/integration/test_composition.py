"""Tests that both ways to write a character find the same, and that documents stay as they were written."""

import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

import chaja
from chaja.v1 import (
    AttributeValue,
    DeleteDocumentsRequest,
    Document,
    EncodeRequest,
    Equals,
    Filter,
    GetDocumentRequest,
    ListDocumentsRequest,
    LocalizedText,
    Mode,
    SearchRequest,
    TextKind,
    Upsert,
    UpsertDocumentsRequest,
)
from sample.server_process import running_server
from tests.conftest import SAMPLE_CATALOGUE, server_flags

FORMS = ("NFC", "NFD")
TITLE, TEXT, EXAMPLE, CITY = "카드 분실 신고", "잃어버린 카드를 정지해요", "지갑을 두고 내렸어", "café 서울"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Iterator[chaja.Client]:
    """A server whose tokenizer has no normalizer, with the same document in both forms."""
    data = tmp_path_factory.mktemp("composition") / "data"
    flags = server_flags(tiny_bundle, SAMPLE_CATALOGUE, "--data", str(data))
    del flags[flags.index("--catalogue") : flags.index("--catalogue") + 2]
    with running_server(flags) as server, chaja.connect(server.address) as client:
        upserts = [Upsert(document=document(form)) for form in FORMS]
        results = client.catalog.UpsertDocuments(UpsertDocumentsRequest(upserts=upserts)).results
        assert not [result for result in results if result.HasField("error")]
        yield client


def document(form: str) -> Document:
    def written(text: str) -> str:
        return unicodedata.normalize(form, text)  # type: ignore[arg-type]

    made = Document(
        id=form,
        titles=[LocalizedText(language_code="ko", text=written(TITLE))],
        texts=[LocalizedText(language_code="ko", text=written(f"{TEXT} " * 8))],
        examples=[written(EXAMPLE)],
    )
    made.attributes.update({written("cité"): [written(CITY)]})
    return made


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("query", [TITLE, TEXT, EXAMPLE])
@pytest.mark.parametrize("mode", [Mode.MODE_DENSE, Mode.MODE_LEXICAL, Mode.MODE_HYBRID])
def test_a_query_in_either_form_finds_both_documents_alike(
    client: chaja.Client, form: str, query: str, mode: Mode.ValueType
) -> None:
    request = SearchRequest(query=unicodedata.normalize(form, query), mode=mode)  # type: ignore[arg-type]
    first, second = client.search.Search(request).hits
    assert {first.document_id, second.document_id} == set(FORMS)
    assert first.score == pytest.approx(second.score)
    assert first.match.field == second.match.field
    if mode is Mode.MODE_DENSE and query != TEXT:
        assert first.score == pytest.approx(1.0, abs=1e-3)


def test_a_passage_is_named_by_its_place_in_the_written_text(client: chaja.Client) -> None:
    hits = client.search.Search(SearchRequest(query=TEXT)).hits
    passages = []
    for hit in hits:
        text = document(hit.document_id).texts[0].text
        passages.append(unicodedata.normalize("NFC", text[hit.match.start : hit.match.end]))
    assert passages[0] == passages[1]


@pytest.mark.parametrize("form", FORMS)
def test_a_document_is_returned_as_it_was_written(client: chaja.Client, form: str) -> None:
    found = client.catalog.GetDocument(GetDocumentRequest(id=form)).document
    found.ClearField("version")
    assert found == document(form)


@pytest.mark.parametrize("form", FORMS)
def test_attributes_are_compared_composed(client: chaja.Client, form: str) -> None:
    name = unicodedata.normalize(form, "cité")  # type: ignore[arg-type]
    value = AttributeValue(string_value=unicodedata.normalize(form, CITY))  # type: ignore[arg-type]
    filter = Filter(equals=Equals(attribute=name, value=value))
    response = client.search.Search(SearchRequest(query="카드", filter=filter))
    assert ({hit.document_id for hit in response.hits}, list(response.warnings)) == (set(FORMS), [])
    mask = FieldMask(paths=[f"attributes.{name}"])
    listed = client.catalog.ListDocuments(ListDocumentsRequest(filter=filter, read_mask=mask)).documents
    assert [each.attributes for each in listed] == [document(each).attributes for each in FORMS]
    other = Filter(equals=Equals(attribute=name, value=AttributeValue(string_value="cafe 서울")))
    assert client.catalog.DeleteDocuments(DeleteDocumentsRequest(filter=other)).deleted_count == 0


@pytest.mark.parametrize("kind", [TextKind.TEXT_KIND_QUERY, TextKind.TEXT_KIND_DOCUMENT])
def test_a_text_has_the_same_vector_in_either_form(client: chaja.Client, kind: TextKind.ValueType) -> None:
    texts = [unicodedata.normalize(form, TITLE) for form in FORMS]  # type: ignore[arg-type]
    one, other = (client.encode.Encode(EncodeRequest(texts=[text], text_kind=kind)) for text in texts)
    assert one.vectors == other.vectors
    assert one.token_counts == other.token_counts
