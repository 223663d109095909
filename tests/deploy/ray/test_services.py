"""The services over shards in this process, beside a server of the same database."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from chaja.v1 import (
    AttributeValue,
    ChangeSynonymsRequest,
    Delete,
    DeleteDocumentsRequest,
    Document,
    Equals,
    Filter,
    GetServerInfoRequest,
    LocalizedText,
    Mode,
    SearchRequest,
    SynonymKind,
    SynonymRule,
    Upsert,
    UpsertDocumentsRequest,
)
from deploy.ray.asking import Asker
from deploy.ray.replicas import Answers, ShardCaller
from deploy.ray.services import Services, make_services
from deploy.ray.shard import ShardReplica
from deploy.ray.spans import Reached
from sample.server_process import ServerProcess, running_server
from server.catalogue.location import DatabaseUrl, text_of
from server.command_line import parse_settings
from server.encoding.bundle import Bundle
from server.rpc.local import STATUS_KEY, CallFailed
from server.settings import Settings
from server.sharding.messages import Question
from tests.conftest import SAMPLE_CATALOGUE, server_flags
from tests.deploy.ray.compared import BILLS, SECONDS, answer_of, caller, comparable, differences, path_of
from tests.integration.serving import wait_until
from tests.postgresql import Cluster

pytestmark = pytest.mark.slow

MOST_SECONDS = 0.5

NEW = Filter(equals=Equals(attribute="kind", value=AttributeValue(string_value="new")))


class LocalShard:
    """Calls a replica in this process, unless it hangs."""

    def __init__(self, replica: ShardReplica) -> None:
        self.replica = replica
        self.hangs = False

    async def ask(self, question: Question) -> Answers | None:
        if self.hangs:
            await asyncio.sleep(SECONDS)
        return await asyncio.to_thread(self.replica.ask, question)

    async def reach(self, sequence: int) -> Reached:
        if self.hangs:
            await asyncio.sleep(SECONDS)
        return await asyncio.to_thread(self.replica.reach, sequence, seconds=0.3)


class Sharded:
    """Services over shards, on an event loop in a separate thread."""

    def __init__(self, settings: Settings, count: int, folder: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.shards = []
        for number in range(count):
            place = folder / f"{count}-{number}"
            place.mkdir()
            self.shards.append(LocalShard(ShardReplica(settings, number=number, count=count, folder=place)))
        asker = Asker(
            [ShardCaller([shard]) for shard in self.shards], self.loop, hedge_seconds=0, most_seconds=MOST_SECONDS
        )
        self.services: Services = self._run(make_services(settings, Bundle(settings.bundle), asker))

    def call(self, request: Message) -> Any:
        answering = self.services.call(
            path_of(request), request.SerializeToString(), metadata=(), peer="test", seconds=SECONDS
        )
        return answer_of(request, self._run(answering))

    def is_ready(self) -> bool:
        try:
            self.call(GetServerInfoRequest())
        except CallFailed as error:
            if error.reason != "NOT_READY":
                raise
            return False
        return True

    def close(self) -> None:
        self._run(self.services.close())
        for shard in self.shards:
            shard.replica.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(SECONDS)


@pytest.fixture(scope="module")
def url(cluster: Cluster) -> DatabaseUrl:
    return cluster.new_database()


@pytest.fixture(scope="module")
def server(tiny_bundle: Path, url: DatabaseUrl) -> Iterator[ServerProcess]:
    flags = ["--data", text_of(url), "--watch-seconds", "0", "--max-sequence-wait-seconds", "10"]
    with running_server(server_flags(tiny_bundle, SAMPLE_CATALOGUE, *flags)) as server:
        yield server


@pytest.fixture(scope="module", params=[1, 3])
def sharded(
    request: pytest.FixtureRequest, tiny_bundle: Path, url: DatabaseUrl, server: ServerProcess, tmp_path_factory: Any
) -> Iterator[Sharded]:
    flags = ["--longest-wait-seconds", "60", "--max-sequence-wait-seconds", "10"]
    settings = parse_settings(["--bundle", str(tiny_bundle), "--data", text_of(url), *flags], {})
    sharded = Sharded(settings, request.param, tmp_path_factory.mktemp("shards"))
    wait_until(sharded.is_ready)
    yield sharded
    sharded.close()


def upsert_of(id: str, title: str, **attributes: str) -> Upsert:
    document = Document(id=id, titles=[LocalizedText(text=title, language_code="ko")])
    document.attributes.update(attributes)
    return Upsert(document=document)


def test_shards_answer_as_one_server_does_also_after_writes(sharded: Sharded, server: ServerProcess) -> None:
    with grpc.insecure_channel(server.address) as channel:
        single = caller(channel)
        assert not differences(single, sharded.call)
        for number, (write, read) in enumerate([(sharded.call, single), (single, sharded.call)] * 2):
            upserts = [upsert_of(f"new {each}", f"새 카드 {number}") for each in range(5)]
            version = max(result.version for result in write(UpsertDocumentsRequest(upserts=upserts)).results)
            search = SearchRequest(query=f"새 카드 {number}", mode=Mode.MODE_LEXICAL, limit=5, min_sequence=version)
            assert {hit.document_id for hit in read(search).hits} == {f"new {each}" for each in range(5)}
            assert comparable(single(search)) == comparable(sharded.call(search))
        rule = SynonymRule(kind=SynonymKind.SYNONYM_KIND_EQUAL, phrases=["플라스틱", "카드"])
        sequence = sharded.call(ChangeSynonymsRequest(add=[rule])).sequence
        search = SearchRequest(query="플라스틱 분실", mode=Mode.MODE_LEXICAL, limit=5, min_sequence=sequence)
        assert sharded.call(search).synonyms
        assert comparable(single(search)) == comparable(sharded.call(search))
        deletes = [Delete(id="new 0"), Delete(id="new 1")]
        assert sharded.call(DeleteDocumentsRequest(deletes=deletes)).deleted_count == 2
        assert sharded.call(DeleteDocumentsRequest(filter=NEW)).deleted_count == 0
        # So many that both measure the baseline of scores again, at the same sequence.
        upserts = [upsert_of(f"new {each}", f"새 통장 {each}", kind="new") for each in range(50)]
        single(UpsertDocumentsRequest(upserts=upserts))
        wait_until(lambda: not differences(single, sharded.call))
        assert sharded.call(DeleteDocumentsRequest(filter=NEW)).deleted_count == 50
        wait_until(lambda: not differences(single, sharded.call))


def test_a_search_sees_one_state_of_all_shards_while_documents_change(sharded: Sharded, server: ServerProcess) -> None:
    ended = threading.Event()
    with grpc.insecure_channel(server.address) as channel:
        single = caller(channel)

        def write() -> None:
            number = 0
            while not ended.is_set():
                number += 1
                upserts = [upsert_of(f"changing {each}", f"바뀌는 문서 {number}") for each in range(6)]
                single(UpsertDocumentsRequest(upserts=upserts))

        writing = threading.Thread(target=write)
        writing.start()
        try:
            titles = []
            for _ in range(60):
                found = sharded.call(SearchRequest(query="바뀌는 문서", mode=Mode.MODE_LEXICAL, limit=6))
                titles.append({hit.title for hit in found.hits if hit.document_id.startswith("changing")})
        finally:
            ended.set()
            writing.join()
    assert all(len(each) == 1 for each in titles[10:]), titles
    assert len({title for each in titles for title in each}) > 1


def test_errors_are_those_of_one_server(sharded: Sharded, server: ServerProcess) -> None:
    with grpc.insecure_channel(server.address) as channel:
        for request in (
            SearchRequest(query=""),
            SearchRequest(query="x" * 5000),
            SearchRequest(query="카드", min_sequence=10**9),
            SearchRequest(query="카드", page_token="x"),
        ):
            with pytest.raises(CallFailed) as failed:
                sharded.call(request)
            with pytest.raises(grpc.RpcError) as expected:
                caller(channel)(request)
            assert (failed.value.code, str(failed.value)) == (expected.value.code(), expected.value.details())
            trailers = {each.key: each.value for each in expected.value.trailing_metadata()}
            assert dict(failed.value.trailers)[STATUS_KEY] == trailers[STATUS_KEY]


def test_a_shard_that_does_not_answer_is_an_error_unless_a_partial_answer_is_allowed(sharded: Sharded) -> None:
    search = SearchRequest(query="카드", mode=Mode.MODE_HYBRID, limit=100, filter=BILLS)
    whole = sharded.call(search)
    assert (whole.shard_count, whole.missing_shards) == (len(sharded.shards), 0)
    sharded.shards[0].hangs = True
    try:
        with pytest.raises(CallFailed) as failed:
            sharded.call(search)
        assert (failed.value.code, failed.value.reason) == (grpc.StatusCode.UNAVAILABLE, "SHARD_UNAVAILABLE")
        search.allow_partial = True
        if len(sharded.shards) == 1:
            with pytest.raises(CallFailed):
                sharded.call(search)
            return
        answer = sharded.call(search)
        assert answer.missing_shards == 1
        assert 0 < len(answer.hits) < len(whole.hits)
        assert {hit.document_id for hit in answer.hits} < {hit.document_id for hit in whole.hits}
        write = UpsertDocumentsRequest(upserts=[upsert_of(f"partial {number}", "카드") for number in range(9)])
        assert all(result.version for result in sharded.call(write).results), "a write needs no shard"
    finally:
        sharded.shards[0].hangs = False
    search.allow_partial = False
    assert sharded.call(search).missing_shards == 0
