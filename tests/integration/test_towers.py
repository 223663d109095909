"""The real server with a bundle of two towers, and with smaller index storages."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import chaja
from chaja.v1 import EncodeRequest, GetServerInfoRequest, SearchRequest, TextKind
from sample.server_process import REPOSITORY, ServerProcess, running_server
from server.encoding import kind as kinds
from server.encoding.bundle import Bundle
from tests.conftest import server_flags
from tests.tiny_bundle import make_bundle

DOCUMENTS: list[dict[str, Any]] = [
    {
        "id": str(number),
        "title": {"ko": f"제목 {number}", "en": f"title {number}"},
        "text": {"en": f"{word} text", "fr": f"{word} texte"},
        "examples": [f"{word} example", word],
    }
    for number, word in enumerate(["wallet", "환율", "transfer", "bill", "tax", "송금"])
]
SEPARATOR = " | "
QUERIES = ["wallet", "환율 알려줘", "send a transfer", "title 3", "x"]


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("towers") / "catalogue.jsonl"
    path.write_text("".join(json.dumps(document) + "\n" for document in DOCUMENTS), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def two_towers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("towers") / "bundle"
    return make_bundle(directory, similarity="dot", document_seed=8, document_max_tokens=40, title_separator=SEPARATOR)


@pytest.fixture(scope="module")
def server(two_towers: Path, catalogue: Path) -> Iterator[ServerProcess]:
    with running_server(server_flags(two_towers, catalogue, "--index-storage", "f32")) as server:
        yield server


def encoded(client: chaja.Client, texts: list[str], kind: TextKind.ValueType) -> NDArray[np.float32]:
    response = client.encode.Encode(EncodeRequest(texts=texts, text_kind=kind))
    return np.frombuffer(response.vectors, "<f4").reshape(-1, response.dimension)


def parts_by_tower(separator: str | None) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Returns the texts for the document tower and for the query tower, each with its document's id."""
    titles = [(document["id"], title) for document in DOCUMENTS for title in document["title"].values()]
    texts = [
        (document["id"], f"{document['title'].get(language, document['title']['ko'])}{separator}{text}")
        if separator
        else (document["id"], text)
        for document in DOCUMENTS
        for language, text in document["text"].items()
    ]
    examples = [(document["id"], example) for document in DOCUMENTS for example in document["examples"]]
    return titles + texts, examples


def best_scores(
    query: NDArray[np.float32], documents: NDArray[np.float32], examples: NDArray[np.float32], separator: str | None
) -> dict[str, float]:
    best: dict[str, float] = {}
    parts = [part for parts in parts_by_tower(separator) for part in parts]
    for (document_id, _), vector in zip(parts, np.concatenate([documents, examples]), strict=True):
        best[document_id] = max(best.get(document_id, -np.inf), float(query @ vector))
    return best


def check_searches(address: str, separator: str | None, *, tolerance: float = 1e-3) -> None:
    """Searches, and compares with scores computed from the expected towers' vectors."""
    of_documents, of_queries = parts_by_tower(separator)
    with chaja.connect(address) as client:
        queries = encoded(client, QUERIES, TextKind.TEXT_KIND_QUERY)
        documents = encoded(client, [text for _, text in of_documents], TextKind.TEXT_KIND_DOCUMENT)
        examples = encoded(client, [text for _, text in of_queries], TextKind.TEXT_KIND_QUERY)
        for text, query in zip(QUERIES, queries, strict=True):
            hits = client.search.Search(SearchRequest(query=text, limit=10)).hits
            expected = best_scores(query, documents, examples, separator)
            assert {hit.document_id: hit.score for hit in hits} == pytest.approx(expected, abs=tolerance)
            assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_documents_are_encoded_by_their_tower_and_queries_and_examples_by_theirs(server: ServerProcess) -> None:
    check_searches(server.address, SEPARATOR)


def test_the_two_towers_differ_and_are_those_of_the_bundle(server: ServerProcess, two_towers: Path) -> None:
    bundle = Bundle(two_towers)
    with chaja.connect(server.address) as client:
        query, document = (
            encoded(client, ["환율"], kind) for kind in (TextKind.TEXT_KIND_QUERY, TextKind.TEXT_KIND_DOCUMENT)
        )
    assert abs(query - document).max() > 0.1
    for kind, vector in ((kinds.TextKind.QUERY, query), (kinds.TextKind.TEXT, document)):
        assert vector.tobytes() == bundle.encode_texts([("환율", kind)]).tobytes()


def test_each_tower_has_its_own_maximum_and_the_info_reports_both(server: ServerProcess) -> None:
    with chaja.connect(server.address) as client:
        info = client.info.GetServerInfo(GetServerInfoRequest())
        assert (info.model.max_tokens, info.model.max_document_tokens, info.limits.max_query_tokens) == (64, 40, 64)
        assert encoded(client, ["x" * 64], TextKind.TEXT_KIND_QUERY).shape == (1, 32)
        with pytest.raises(Exception, match="has 64 tokens; the model sees at most 40: shorten it"):
            encoded(client, ["x" * 64], TextKind.TEXT_KIND_DOCUMENT)


@pytest.mark.parametrize(("storage", "tolerance"), [("f16", 2e-3), ("i8", 2e-2)])
def test_a_smaller_storage_gives_the_cosines_within_its_precision(
    tmp_path: Path, catalogue: Path, storage: str, tolerance: float
) -> None:
    bundle = make_bundle(tmp_path / "bundle", document_seed=8)
    with running_server(server_flags(bundle, catalogue, "--index-storage", storage)) as server:
        check_searches(server.address, None, tolerance=tolerance)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_dpr_model_is_exported_served_and_searched(tmp_path: Path, catalogue: Path) -> None:
    from tests.export.tiny_models import dpr_encoder  # noqa: PLC0415  it imports torch, which takes seconds

    question, context = (dpr_encoder(tmp_path / kind, kind, projection_dim=16) for kind in ("question", "context"))
    bundle = tmp_path / "bundle"
    command = [sys.executable, "-m", "export", "--model", str(question), "--document-model", str(context)]
    # A random model gives all documents similar vectors: rounding decides which are nearest.
    command += ["--out", str(bundle), "--min-top10-overlap", "0.5"]
    exported = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=180, check=False)
    assert exported.returncode == 0, exported.stderr
    with running_server(server_flags(bundle, catalogue, "--index-storage", "f32")) as server:
        check_searches(server.address, " [SEP] ")
