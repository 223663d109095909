"""MerchandisingService on the live catalogue of a small model."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from chaja.v1 import (
    AttributeValue,
    Boost,
    DeleteRule,
    DeleteRulesRequest,
    Equals,
    ListRulesRequest,
    ListRulesResponse,
    MerchandisingRule,
    PutRule,
    PutRulesRequest,
    PutRulesResponse,
    QueryMatch,
)
from server.catalogue.changes import Delete
from server.catalogue.document import Document
from server.errors import Conflict, InvalidRequest, ReadOnly
from server.rpc.background import Background
from server.rpc.limits import Limits
from server.rpc.merchandising import MerchandisingServicer
from server.settings import Settings
from server.writing.writer import Writer
from tests.server.writing.making import Core, running, titled, upserts

POPULAR = Boost(attribute="popular", share=0.2, half_value=10)


def pin(id: str, *pinned: str, **fields: Any) -> MerchandisingRule:
    return MerchandisingRule(id=id, pinned_ids=pinned or ("x",), **fields)


class Served:
    """A servicer over the layers below it."""

    def __init__(self, core: Core, **limits: int) -> None:
        settings = Settings(bundle=Path(), data=Path(), **limits)  # type: ignore[arg-type]
        self.core = core
        self.servicer = MerchandisingServicer(
            lambda: core.writer, lambda: core.reader, core.slot, Limits.of(settings), Background()
        )

    async def put(self, *puts: MerchandisingRule | PutRule, request_id: str = "") -> PutRulesResponse:
        made = [put if isinstance(put, PutRule) else PutRule(rule=put) for put in puts]
        return await self.servicer.PutRules(PutRulesRequest(puts=made, request_id=request_id), None)

    async def delete(self, *deletes: str | DeleteRule) -> list[tuple[str, int, bool]]:
        made = [each if isinstance(each, DeleteRule) else DeleteRule(id=each) for each in deletes]
        response = await self.servicer.DeleteRules(DeleteRulesRequest(deletes=made), None)
        return [(each.id, each.version, each.changed) for each in response.results]

    async def refused(self, *puts: MerchandisingRule | PutRule) -> list[tuple[str, str]]:
        with pytest.raises(InvalidRequest) as caught:
            await self.put(*puts)
        return [(each.field, each.description) for each in caught.value.violations]

    async def page(self, size: int = 0, token: str = "") -> ListRulesResponse:
        return await self.servicer.ListRules(ListRulesRequest(page_size=size, page_token=token), None)

    async def ids(self, size: int = 0) -> list[str]:
        """Returns the ids of the rules of all pages."""
        page = await self.page(size)
        ids = [rule.id for rule in page.rules]
        while page.next_page_token:
            page = await self.page(size, page.next_page_token)
            assert page.rules
            ids += [rule.id for rule in page.rules]
        return ids

    def live(self) -> list[str]:
        """Returns the rules of the state that searches use."""
        return [rule.id for rule in self.core.slot.engine.index.state.rules.merchandising.table.rules]


@pytest.fixture
async def served(tmp_path: Path, tiny_bundle: Path) -> AsyncIterator[Served]:
    async with running(tmp_path / "data", tiny_bundle) as core:
        yield Served(core)


async def test_a_rule_with_all_fields_is_listed_as_it_was_written(served: Served) -> None:
    start, end = Timestamp(), Timestamp()
    start.FromDatetime(datetime(2026, 12, 1, tzinfo=UTC))
    end.FromDatetime(datetime(2027, 1, 1, tzinfo=UTC))
    rule = MerchandisingRule(
        id="loan",
        query="신용 대출",
        match=QueryMatch.QUERY_MATCH_CONTAINS,
        language_code="ko-kr",
        start_time=start,
        end_time=end,
        pinned_ids=["a", "b"],
        buried_ids=["c"],
        buried_if=[Equals(attribute="ended", value=AttributeValue(bool_value=True))],
        boosts=[
            POPULAR,
            Boost(attribute="day", share=0.1, half_life_days=30),
            Boost(attribute="stock", share=0.1, equals=AttributeValue(number_value=1)),
            Boost(attribute="kind", share=0.1, equals=AttributeValue(string_value="loan")),
        ],
    )
    (result,) = (await served.put(rule)).results
    assert (result.id, result.changed) == ("loan", True)
    rule.version = result.version
    assert list((await served.page()).rules) == [rule]
    (again,) = (await served.put(rule)).results
    assert (again.version, again.changed) == (result.version, False)


async def test_rules_are_in_the_state_when_the_call_is_answered(served: Served) -> None:
    await served.put(pin("b"), pin("a"))
    assert served.live() == ["a", "b"]
    assert await served.delete("b", "?") == [("b", 3, True), ("?", 0, False)]
    assert served.live() == ["a"]


async def test_pages_have_every_rule_once_in_the_order_of_ids(served: Served) -> None:
    await served.put(*(pin(f"{number:02}") for number in reversed(range(25))))
    everything = [f"{number:02}" for number in range(25)]
    assert [await served.ids(size) for size in (0, 1, 7, 25)] == [everything] * 4
    with pytest.raises(InvalidRequest, match="page_token: is not a token of this service"):
        await served.page(token="x")


async def test_large_rules_are_on_pages_of_bounded_size(served: Served) -> None:
    small = Served(served.core, max_response_bytes=65_536)
    rules = [pin(f"{number}", *(f"{each:0200}" for each in range(50))) for number in range(9)]
    await small.put(*rules)
    assert len((await small.page()).rules) < 9
    assert len(await small.ids()) == 9


async def test_results_arrive_and_a_rule_can_be_read_whatever_the_bound_of_answers(served: Served) -> None:
    small = Served(served.core, max_response_bytes=65_536)
    response = await small.put(*(pin(f"{number:0255}") for number in range(999)))
    assert {(each.id, each.changed) for each in response.results} == {("", True)}
    with pytest.raises(InvalidRequest, match=r"puts\[0\].rule: has \d+ bytes as a message; at most 61440 are allowed"):
        await small.put(
            MerchandisingRule(id="a", buried_ids=[f"{number:0256}" for number in range(200)] + ["가" * 9999])
        )


async def test_an_unexpected_version_is_a_conflict_and_changes_nothing(served: Served) -> None:
    (result,) = (await served.put(PutRule(rule=pin("a"), expected_version=0))).results
    with pytest.raises(Conflict, match="rule 'a' has version 1; it was expected not to exist"):
        await served.put(pin("b"), PutRule(rule=pin("a", "y"), expected_version=0))
    with pytest.raises(Conflict, match="rule 'a' has version 1; version 7 was expected"):
        await served.delete(DeleteRule(id="a", expected_version=7))
    assert served.live() == ["a"]
    await served.put(PutRule(rule=pin("a", "y"), expected_version=result.version))


async def test_a_repeated_call_with_a_request_id_gets_the_same_answer(served: Served) -> None:
    first = await served.put(PutRule(rule=pin("a"), expected_version=0), request_id="1")
    assert await served.put(PutRule(rule=pin("a"), expected_version=0), request_id="1") == first


@pytest.mark.parametrize(
    ("rule", "field", "problem"),
    [
        (MerchandisingRule(pinned_ids=["x"]), "id", "is empty"),
        (MerchandisingRule(id="a"), "pinned_ids", "is empty, and so is every other effect"),
        (pin("a", match=9), "match", "is 9, which is not a QueryMatch"),
        (pin("a", match=QueryMatch.QUERY_MATCH_PREFIX), "match", "is set without a query"),
        (pin("a", start_time=Timestamp(seconds=2**60)), "start_time", "is not a time from the year 1 to 9999"),
        (pin("a", "x", "x"), "pinned_ids[1]", "names a document again"),
        (pin("a", buried_if=[Equals(attribute="b")]), "buried_if[0].value", "has no value; send a string"),
        (pin("a", boosts=[Boost(attribute="b", share=0.1)]), "boosts[0]", "needs exactly one of half_value"),
        (pin("a", boosts=[Boost(attribute="b", share=2, half_value=1)]), "boosts[0].share", "is 2.0; it must be"),
        (
            pin("a", boosts=[Boost(attribute="b", share=0.1, half_value=float("nan"))]),
            "boosts[0].half_value",
            "is nan; it must be a finite number above 0",
        ),
        (
            pin("a", boosts=[Boost(attribute="b", share=float("nan"), half_value=1)]),
            "boosts[0].share",
            "is nan; it must be above 0",
        ),
        (
            pin("a", buried_if=[Equals(attribute="b", value=AttributeValue(number_value=float("nan")))]),
            "buried_if[0].value",
            "is nan; numbers must be finite",
        ),
    ],
)
async def test_an_error_names_the_field_and_the_remedy(
    served: Served, rule: MerchandisingRule, field: str, problem: str
) -> None:
    ((named, description), *_) = await served.refused(pin("fine"), rule)
    assert named == f"puts[1].rule.{field}"
    assert description.startswith(problem)
    assert served.live() == []


async def test_requests_that_make_no_sense_are_refused(served: Served) -> None:
    assert await served.refused() == [("puts", "has 0 elements; it must have 1 to 1000: send at least one")]
    assert await served.refused(pin("a"), pin("a", "y")) == [
        ("puts[1].rule.id", "is that of puts[0].rule.id, too: send each rule once")
    ]
    assert await served.refused(PutRule(rule=pin("a"), expected_version=-1)) == [
        ("puts[0].expected_version", "is -1; versions are 0 or more")
    ]
    with pytest.raises(InvalidRequest, match=r"deletes\[1\].id: is that of deletes\[0\].id, too"):
        await served.delete("a", "a")
    with pytest.raises(InvalidRequest, match=r"deletes\[0\].id: is empty"):
        await served.delete("")


async def test_more_rules_than_a_server_keeps_are_refused_together(served: Served) -> None:
    await served.put(*(pin(f"{number}") for number in range(999)))
    ((field, description),) = await served.refused(pin("a"), pin("b"))
    assert (field, description) == ("puts", "there are 1001 rules: keep at most 1000")
    assert len(served.live()) == 999
    await served.put(pin("a"))


async def warnings(served: Served, *rules: MerchandisingRule) -> Sequence[str]:
    return (await served.put(*rules)).warnings


async def test_unknown_documents_and_attributes_are_warned_of(served: Served) -> None:
    await served.core.writer.upsert(upserts(Document(id="a", title="a", attributes={"popular": 3}), titled("gone")))
    await served.core.writer.delete([Delete("gone")])
    rule = pin("r", "a", "b", "gone", boosts=[Boost(attribute="poplar", share=0.1, half_value=1)])
    assert await warnings(served, pin("fine", "a", boosts=[POPULAR]), rule) == [
        "puts[1].rule.pinned_ids[1]: no document has the id 'b'",
        "puts[1].rule.pinned_ids[2]: no document has the id 'gone'",
        "puts[1].rule.boosts[0].attribute: no document has the attribute 'poplar'; perhaps 'popular' is meant",
    ]
    assert len(await warnings(served, pin("many", *(f"{number}" for number in range(50))))) == 3


async def test_rules_are_durable(tmp_path: Path, tiny_bundle: Path) -> None:
    async with running(tmp_path / "data", tiny_bundle) as core:
        await core.writer.upsert(upserts(titled("a")))
        await Served(core).put(pin("r", "a"))
    async with running(tmp_path / "data", tiny_bundle) as core:
        served = Served(core)
        assert (served.live(), await served.ids()) == (["r"], ["r"])
        assert core.slot.engine.index.state.rules.merchandising.sequences == {"a": 1}
        await core.writer.upsert(upserts(titled("a", "new")))
        assert core.slot.engine.index.state.rules.merchandising.sequences == {"a": 3}


async def test_a_server_without_a_store_lists_rules_and_changes_none(served: Served) -> None:
    def refuse() -> Writer:
        raise ReadOnly("the server does not accept writes: start it with --data")

    await served.put(pin("a"))
    served.servicer._writer = refuse
    with pytest.raises(ReadOnly):
        await served.put(pin("b"))
    assert await served.ids() == ["a"]
