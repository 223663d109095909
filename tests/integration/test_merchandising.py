"""Rules of merchandising on a running server: in every mode and call, durable, audited, and against each other."""

import json
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

import chaja
from chaja.v1 import (
    AttributeValue,
    BatchSearchRequest,
    Boost,
    Delete,
    DeleteDocumentsRequest,
    DeleteRule,
    DeleteRulesRequest,
    Document,
    Equals,
    Filter,
    Hit,
    ListRulesRequest,
    LocalizedText,
    MerchandisingRule,
    Mode,
    PutRule,
    PutRulesRequest,
    QueryMatch,
    RuleEffect,
    SearchRequest,
    SearchResponse,
    Upsert,
    UpsertDocumentsRequest,
)
from sample.server_process import running_server
from tests.conftest import SAMPLE_CATALOGUE, server_flags
from tests.integration.serving import wait_until
from tests.server.rpc.served_calls import bearer

QUERY = "카드를 잃어버렸어요"
CONTAINS = QueryMatch.QUERY_MATCH_CONTAINS
MODES = [Mode.MODE_DENSE, Mode.MODE_LEXICAL, Mode.MODE_HYBRID]


def put(client: chaja.Client, *rules: MerchandisingRule, **call: Any) -> Sequence[str]:
    """Writes rules; returns the warnings."""
    request = PutRulesRequest(puts=[PutRule(rule=rule) for rule in rules])
    return client.merchandising.PutRules(request, **call).warnings


def search(client: chaja.Client, query: str = QUERY, **fields: Any) -> SearchResponse:
    return client.search.Search(SearchRequest(query=query, **fields))


def ids(hits: Sequence[Hit]) -> list[str]:
    return [hit.document_id for hit in hits]


def moved(hit: Hit) -> list[tuple[str, int]]:
    return [(each.rule_id, each.effect) for each in hit.applied_rules]


@pytest.fixture(scope="module")
def connected(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[chaja.Client]:
    flags = ("--data", str(tmp_path_factory.mktemp("merchandising")))
    with (
        running_server(server_flags(tiny_bundle, SAMPLE_CATALOGUE, *flags)) as server,
        chaja.connect(server.address) as client,
    ):
        yield client


@pytest.fixture
def client(connected: chaja.Client) -> chaja.Client:
    """A client of a server without rules."""
    rules = connected.merchandising.ListRules(ListRulesRequest()).rules
    if rules:
        deletes = [DeleteRule(id=rule.id) for rule in rules]
        connected.merchandising.DeleteRules(DeleteRulesRequest(deletes=deletes))
    return connected


@pytest.mark.parametrize("mode", MODES)
def test_the_next_search_has_the_rule_in_every_mode(client: chaja.Client, mode: Mode.ValueType) -> None:
    plain = search(client, mode=mode)
    first, last = ids(plain.hits)[0], "gas-bill"
    assert put(client, MerchandisingRule(id="r", query="카드", match=CONTAINS, pinned_ids=[last])) == []
    pinned = search(client, mode=mode)
    assert pinned.sequence > plain.sequence
    assert ids(pinned.hits)[:2] == [last, first]
    assert moved(pinned.hits[0]) == [("r", RuleEffect.RULE_EFFECT_PINNED)]
    assert not pinned.no_good_answer
    assert not pinned.hits[1].applied_rules
    assert search(client, mode=mode, ignore_rules=True).hits == plain.hits
    assert ids(search(client, "환율", mode=mode).hits)[0] != last, "the rule is for another query"
    put(client, MerchandisingRule(id="r", query="카드", match=CONTAINS, buried_ids=[first]))
    assert first not in ids(search(client, mode=mode).hits)
    client.merchandising.DeleteRules(DeleteRulesRequest(deletes=[DeleteRule(id="r")]))
    assert search(client, mode=mode).hits == plain.hits


@pytest.mark.parametrize("mode", MODES)
def test_a_boost_says_what_it_changes(client: chaja.Client, mode: Mode.ValueType) -> None:
    plain = {hit.document_id: hit for hit in search(client, mode=mode, limit=100).hits}
    popular = Boost(attribute="popular", share=0.3, equals=AttributeValue(bool_value=True))
    put(client, MerchandisingRule(id="popular", boosts=[popular]))
    hits = search(client, mode=mode, limit=100).hits
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert ids(hits) != list(plain)
    ups = set()
    for hit in hits:
        change = sum(each.score_change for each in hit.applied_rules)
        if hit.document_id in plain:
            assert hit.score == pytest.approx(plain[hit.document_id].score + change, abs=1e-5)
        ups.add((change > 0, bool(hit.attributes.fields["popular"].bool_value)))
    assert (True, False) not in ups, "only popular documents gain"
    assert (True, True) in ups


@pytest.mark.parametrize("mode", MODES)
def test_pages_batches_and_streams_have_the_same_ranking(client: chaja.Client, mode: Mode.ValueType) -> None:
    popular = Boost(attribute="popular", share=0.3, equals=AttributeValue(bool_value=True))
    bills = Equals(attribute="category", value=AttributeValue(string_value="bills"))
    put(client, MerchandisingRule(id="r", pinned_ids=["gas-bill", "?"], buried_if=[bills], boosts=[popular]))
    request = SearchRequest(query=QUERY, mode=mode, limit=5)
    whole = search(client, mode=mode, limit=100)
    hits: list[Hit] = []
    while True:
        response = client.search.Search(request)
        (batched,) = client.search.BatchSearch(BatchSearchRequest(requests=[request])).responses
        (streamed,) = client.search.SearchStream(iter([request]))
        assert response.hits == batched.hits == streamed.response.hits
        hits += response.hits
        request.page_token = response.next_page_token
        if not request.page_token:
            break
    assert hits[:100] == list(whole.hits)
    assert len(set(ids(hits))) == len(hits)
    request.page_token, request.ignore_rules = (
        whole.next_page_token or client.search.Search(request).next_page_token,
        True,
    )
    with pytest.raises(grpc.RpcError, match="page_token: belongs to another query, mode, filter"):
        client.search.Search(request)


def test_filters_hold_for_pinned_documents_and_facets_count_all(client: chaja.Client) -> None:
    put(client, MerchandisingRule(id="r", pinned_ids=["gas-bill"]))
    card = Filter(equals=Equals(attribute="category", value=AttributeValue(string_value="card")))
    assert "gas-bill" not in ids(search(client, filter=card, limit=100).hits)
    assert search(client, min_score=1e9).hits[0].document_id == "gas-bill"
    facets = search(client, facets=["category"]).facets
    assert facets == search(client, facets=["category"], ignore_rules=True).facets


def test_a_mask_selects_the_applied_rules(client: chaja.Client) -> None:
    put(client, MerchandisingRule(id="r", pinned_ids=["gas-bill"]))
    with_rules = search(client, read_mask=FieldMask(paths=["applied_rules"])).hits[0]
    without = search(client, read_mask=FieldMask(paths=["title"])).hits[0]
    assert (moved(with_rules), with_rules.title) == ([("r", RuleEffect.RULE_EFFECT_PINNED)], "")
    assert (moved(without), bool(without.title)) == ([], True)


def test_rules_that_contradict_each_other_have_one_outcome(client: chaja.Client) -> None:
    put(
        client,
        MerchandisingRule(id="c", buried_ids=["gas-bill", "water-bill"]),
        MerchandisingRule(id="b", pinned_ids=["electricity-bill", "gas-bill"]),
        MerchandisingRule(id="a", pinned_ids=["gas-bill"], buried_ids=["water-bill"]),
    )
    hits = search(client, limit=100).hits
    assert [(hit.document_id, moved(hit)[0][0]) for hit in hits[:2]] == [("gas-bill", "a"), ("electricity-bill", "b")]


def test_rules_follow_documents_that_come_change_and_go(client: chaja.Client) -> None:
    def upsert(title: str) -> None:
        document = Document(id="later", titles=[LocalizedText(text=title)])
        client.catalog.UpsertDocuments(UpsertDocumentsRequest(upserts=[Upsert(document=document)]))

    warnings = put(client, MerchandisingRule(id="r", pinned_ids=["later"]))
    assert warnings == ["puts[0].rule.pinned_ids[0]: no document has the id 'later'"]
    assert "later" not in ids(search(client).hits)
    for title in ("one", "other"):
        upsert(title)
        first = search(client).hits[0]
        assert (first.document_id, first.title) == ("later", title)
    client.catalog.DeleteDocuments(DeleteDocumentsRequest(deletes=[Delete(id="later")]))
    assert "later" not in ids(search(client, limit=100).hits)


def test_a_rule_with_an_unknown_attribute_is_warned_of_and_keeps_the_order(client: chaja.Client) -> None:
    boost = Boost(attribute="popularr", share=0.5, half_value=1)
    (warning,) = put(client, MerchandisingRule(id="r", boosts=[boost]))
    assert warning.endswith("no document has the attribute 'popularr'; perhaps 'popular' is meant")
    assert ids(search(client).hits) == ids(search(client, ignore_rules=True).hits)


def test_a_rule_ends(client: chaja.Client) -> None:
    rule = MerchandisingRule(id="r", pinned_ids=["gas-bill"], end_time=Timestamp(seconds=1))
    put(client, rule)
    assert search(client).hits == search(client, ignore_rules=True).hits
    assert len(client.merchandising.ListRules(ListRulesRequest()).rules) == 1


def test_a_wrong_rule_is_refused_in_one_line(client: chaja.Client) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        put(client, MerchandisingRule(id="r", query="…", pinned_ids=["a", "a"]))
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert raised.value.details() == (
        "puts[0].rule.query: has no word: write letters, digits or symbols; "
        "puts[0].rule.pinned_ids[1]: names a document again: pin or bury it once"
    )
    request = PutRulesRequest(puts=[PutRule(rule=MerchandisingRule(id="r", pinned_ids=["a"]), expected_version=7)])
    with pytest.raises(grpc.RpcError) as raised:
        client.merchandising.PutRules(request)
    assert raised.value.code() == grpc.StatusCode.ABORTED
    assert raised.value.details() == "rule 'r' does not exist; version 7 was expected: read it again"


def test_rules_survive_a_kill_and_are_audited(tiny_bundle: Path, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"write editor {'w' * 16}\nsearch app {'s' * 16}\n", encoding="utf-8")
    flags = ("--data", str(tmp_path / "data"), "--tokens", str(tokens), "--log-format", "json")
    arguments = server_flags(tiny_bundle, SAMPLE_CATALOGUE, *flags)
    writer, app = bearer("w" * 16), bearer("s" * 16)
    rule = MerchandisingRule(id="r", query="카드", match=CONTAINS, pinned_ids=["gas-bill"])
    with running_server(arguments) as server, chaja.connect(server.address) as client:
        with pytest.raises(grpc.RpcError) as raised:
            put(client, rule, metadata=app)
        assert raised.value.code() == grpc.StatusCode.PERMISSION_DENIED
        put(client, rule, metadata=writer)
        wait_until(lambda: any('"changed"' in line for line in server.lines))
        (line,) = (json.loads(line) for line in server.lines if '"changed"' in line)
        assert (line["logger"], line["message"]) == ("server.audit", "put rules")
        assert (line["token"], line["changed"]) == ("editor", 1)
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
    with running_server(arguments) as server, chaja.connect(server.address) as client:
        (listed,) = client.merchandising.ListRules(ListRulesRequest(), metadata=app).rules
        assert (listed.id, list(listed.pinned_ids)) == ("r", ["gas-bill"])
        assert client.search.Search(SearchRequest(query=QUERY), metadata=app).hits[0].document_id == "gas-bill"
