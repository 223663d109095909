"""Tests that clients which saw changes that a restore has undone do not miss what happened."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import grpc
import pytest

import chaja
from chaja.v1 import (
    Change,
    Document,
    ImportDocumentsRequest,
    LocalizedText,
    Upsert,
    UpsertDocumentsRequest,
    WatchChangesRequest,
    WriteResult,
)
from sample.server_process import running_server
from server import commands
from server.catalogue.database import back_up
from tests.conftest import SAMPLE_CATALOGUE, server_flags
from tests.integration.errors import error_of

Client = chaja.Client


def upsert(id: str, title: str, expected_version: int | None = None) -> Upsert:
    return Upsert(document=Document(id=id, titles=[LocalizedText(text=title)]), expected_version=expected_version)


def write(client: Client, *upserts: Upsert, request_id: str = "") -> list[WriteResult]:
    request = UpsertDocumentsRequest(upserts=upserts, request_id=request_id)
    return list(client.catalog.UpsertDocuments(request).results)


def versions(results: Sequence[WriteResult]) -> list[int]:
    assert not [each.error.message for each in results if each.HasField("error")]
    return [each.version for each in results]


def watched(client: Client, after_sequence: int, count: int) -> list[Change]:
    call = client.catalog.WatchChanges(WatchChangesRequest(after_sequence=after_sequence), timeout=20)
    found = list(itertools.islice((change for response in call for change in response.changes), count))
    call.cancel()
    return found


def import_position(client: Client, import_id: str) -> int:
    (answer,) = client.catalog.ImportDocuments(iter([ImportDocumentsRequest(import_id=import_id)]))
    return int(answer.position)


@pytest.fixture
def flags(tiny_bundle: Path, tmp_path: Path) -> list[str]:
    all_flags = server_flags(tiny_bundle, SAMPLE_CATALOGUE, "--data", str(tmp_path / "data"))
    at = all_flags.index("--catalogue")
    return all_flags[:at] + all_flags[at + 2 :]


def test_a_restore_reuses_no_sequence_and_no_version(flags: list[str], tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_server(flags) as server, chaja.connect(server.address) as client:
        assert versions(write(client, upsert("a", "first"), request_id="before the backup")) == [1]
        backup = back_up(data)
        assert versions(write(client, upsert("b", "ghost"), upsert("c", "old"), request_id="lost")) == [2, 3]
        list(chaja.import_documents(client, [upsert("i", "imported")], import_id="lost"))
        before = watched(client, 0, 4)
        assert [change.sequence for change in before] == [1, 2, 3, 4]
    commands.run(["restore", "--data", str(data), "--from", str(backup)])
    with running_server(flags) as server, chaja.connect(server.address) as client:
        assert import_position(client, "lost") == 0, "its documents are lost"
        assert versions(write(client, upsert("a", "first"), request_id="before the backup")) == [1]
        d, c, f = versions(write(client, upsert("d", "new"), upsert("c", "other"), upsert("f", "new")))
        assert 4 < d < c < f

        for after in (2, 3, 4, 5, d - 1):
            call = client.catalog.WatchChanges(WatchChangesRequest(after_sequence=after), timeout=20)
            error = error_of(next, call)
            assert error.code() == grpc.StatusCode.OUT_OF_RANGE, after
            assert "watch again from 0" in error.details()
        assert [change.document.id for change in watched(client, 0, 4)] == ["a", "d", "c", "f"]
        assert [change.document.id for change in watched(client, 1, 3)] == ["d", "c", "f"]
        assert [change.document.id for change in watched(client, d, 2)] == ["c", "f"]

        (stale,) = write(client, upsert("c", "overwritten", expected_version=3))
        assert (stale.error.reason, stale.version) == ("CONFLICT", c)
        assert versions(write(client, upsert("c", "read again", expected_version=c))) == [f + 1]
        repeated = versions(write(client, upsert("b", "ghost"), upsert("c", "old"), request_id="lost"))
        assert repeated == [f + 2, f + 3], "the restore has undone the first attempt"
