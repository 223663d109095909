"""SynonymService on the live catalogue of a small model."""

import asyncio
import unicodedata
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from chaja.v1 import (
    ChangeSynonymsRequest,
    ChangeSynonymsResponse,
    ListSynonymsRequest,
    ListSynonymsResponse,
    SynonymKind,
    SynonymRule,
)
from server.errors import InvalidRequest, ReadOnly
from server.rpc.background import Background
from server.rpc.limits import Limits
from server.rpc.synonyms import SynonymServicer
from server.settings import Settings
from server.writing.writer import Writer
from tests.server.writing.making import Core, running

ONE_WAY, EQUAL = SynonymKind.SYNONYM_KIND_ONE_WAY, SynonymKind.SYNONYM_KIND_EQUAL


def one_way(left: str, right: str, language: str = "") -> SynonymRule:
    return SynonymRule(kind=ONE_WAY, phrases=[left, right], language_code=language)


def equal(*phrases: str) -> SynonymRule:
    return SynonymRule(kind=EQUAL, phrases=phrases)


def numbered(*numbers: int) -> list[SynonymRule]:
    return [one_way(f"a{number}", "b") for number in numbers]


class Served:
    """A servicer over the layers below it."""

    def __init__(self, core: Core, **limits: int) -> None:
        settings = Settings(bundle=Path(), data=Path(), **limits)  # type: ignore[arg-type]
        self.core = core
        self.servicer = SynonymServicer(lambda: core.writer, core.slot, Limits.of(settings), Background())

    async def change(
        self, add: Sequence[SynonymRule] = (), remove: Sequence[SynonymRule] = (), *, replace_all: bool = False
    ) -> ChangeSynonymsResponse:
        request = ChangeSynonymsRequest(add=add, remove=remove, replace_all=replace_all)
        return await self.servicer.ChangeSynonyms(request, None)

    async def refused(
        self, add: Sequence[SynonymRule] = (), remove: Sequence[SynonymRule] = (), *, replace_all: bool = False
    ) -> list[tuple[str, str]]:
        with pytest.raises(InvalidRequest) as caught:
            await self.change(add, remove, replace_all=replace_all)
        return [(each.field, each.description) for each in caught.value.violations]

    async def page(self, size: int = 0, token: str = "") -> ListSynonymsResponse:
        return await self.servicer.ListSynonyms(ListSynonymsRequest(page_size=size, page_token=token), None)

    async def rules(self, size: int = 0) -> list[SynonymRule]:
        """Returns the rules of all pages."""
        page = await self.page(size)
        rules = list(page.rules)
        while page.next_page_token:
            page = await self.page(size, page.next_page_token)
            assert page.rules
            rules += page.rules
        return rules


@pytest.fixture
async def served(tmp_path: Path, tiny_bundle: Path) -> AsyncIterator[Served]:
    async with running(tmp_path / "data", tiny_bundle) as core:
        yield Served(core)


async def test_added_rules_are_listed_by_language_and_first_phrase(served: Served) -> None:
    rules = [
        one_way("마통", "마이너스통장"),
        one_way("cc", "credit card", "en-US"),
        equal("체카", "체크카드", "체크 카드"),
    ]
    answer = await served.change(rules)
    assert answer == ChangeSynonymsResponse(added_count=3, rule_count=3, sequence=3)
    assert await served.rules() == [rules[0], rules[2], one_way("cc", "credit card", "en-us")]
    assert (await served.page()).rule_count == 3


async def test_a_repeated_change_changes_nothing(served: Served) -> None:
    rules = [one_way("마통", "마이너스통장"), equal("체카", "체크카드")]
    await served.change(rules)
    assert await served.change(rules) == ChangeSynonymsResponse(rule_count=2, sequence=2)
    again = [one_way(" 마통 ", unicodedata.normalize("NFD", "마이너스통장"))] * 2
    assert await served.change(again) == ChangeSynonymsResponse(rule_count=2, sequence=2)
    removed = await served.change(remove=rules)
    assert (removed.removed_count, removed.rule_count) == (2, 0)
    assert (await served.change(remove=rules)).removed_count == 0
    assert await served.rules() == []


async def test_a_rule_is_removed_by_all_its_fields(served: Served) -> None:
    await served.change([one_way("a", "b")])
    others = [one_way("a", "b", "ko"), one_way("b", "a"), equal("a", "b")]
    assert (await served.change(remove=others)).removed_count == 0
    assert await served.rules() == [one_way("a", "b")]


async def test_all_rules_are_replaced_at_once(served: Served) -> None:
    await served.change(numbered(1, 2, 3))
    answer = await served.change(numbered(3, 4), replace_all=True)
    assert (answer.added_count, answer.removed_count, answer.rule_count) == (1, 2, 2)
    assert await served.rules() == numbered(3, 4)
    assert (await served.change(replace_all=True)).removed_count == 2
    assert await served.rules() == []


async def test_rules_that_contradict_or_go_in_a_circle_are_kept(served: Served) -> None:
    rules = [one_way("a", "b"), one_way("a", "c"), one_way("b", "a"), equal("b", "c")]
    assert (await served.change(rules)).rule_count == 4


async def test_each_wrong_rule_is_named(served: Served) -> None:
    wrong = [
        one_way("a", "b"),
        one_way("a", "b = c"),
        SynonymRule(phrases=["a", "b"]),
        one_way("가" * 61, "b"),
        SynonymRule(kind=ONE_WAY, phrases=["a", "b", "c"]),
        equal("🐶", "\u200d"),
        one_way("a", "b", "no language"),
    ]
    violations = dict(await served.refused(wrong))
    assert list(violations) == ["add[1]", "add[2].kind", "add[3]", "add[4]", "add[5]", "add[6]"]
    assert violations["add[2].kind"] == "is 0: set SYNONYM_KIND_ONE_WAY or SYNONYM_KIND_EQUAL"
    assert violations["add[3]"].endswith("has more than 60 characters: shorten it")
    assert violations["add[4]"] == "a rule of this kind has 2 phrases, not 3"
    assert violations["add[5]"].endswith("has no word: write letters, digits or symbols on each side")
    violations = dict(await served.refused(numbered(1), [equal("a"), one_way(" a1", "b")]))
    assert violations["remove[0]"] == "a rule of this kind has 2 to 16 phrases, not 1"
    assert await served.rules() == []
    [violation] = await served.refused(numbered(1), [one_way(" a1", "b")])
    assert violation == ("remove[0]", "is also in `add`: send it in one of them")


async def test_a_request_without_a_change_or_with_two_meanings_is_refused(served: Served) -> None:
    assert await served.refused() == [("add", "is empty, as `remove` is: send at least one rule")]
    [(field, description)] = await served.refused(numbered(1), numbered(2), replace_all=True)
    assert (field, description) == ("remove", "is set together with replace_all, which removes all other rules")
    [(field, description)] = await served.refused(numbered(*range(10_001)))
    assert (field, description) == ("add", "has 10001 elements; at most 10000 are allowed: split the call")


async def test_a_change_above_the_bounds_is_refused_whole(served: Served) -> None:
    await served.change(numbered(*range(9_999)))
    [(field, description)] = await served.refused(numbered(20_000, 20_001))
    assert (field, description) == ("add", "there are 10001 rules: keep at most 10000")
    assert (await served.page()).rule_count == 9_999
    answer = await served.change(numbered(20_000, 20_001), numbered(0))
    assert (answer.added_count, answer.removed_count, answer.rule_count) == (2, 1, 10_000)
    assert len(await served.rules(1000)) == 10_000


async def test_pages_hold_each_rule_once_while_others_change(served: Served) -> None:
    await served.change(numbered(*range(10, 30)))
    page = await served.page(7)
    await served.change(numbered(99), [page.rules[-1], *numbered(20)])
    rest = await served.page(100, page.next_page_token)
    assert rest.rules == numbered(17, 18, 19, *range(21, 30), 99)
    assert rest.next_page_token == ""


async def test_a_page_ends_before_an_answer_is_too_large(tmp_path: Path, tiny_bundle: Path) -> None:
    async with running(tmp_path / "data", tiny_bundle) as core:
        served = Served(core, max_response_bytes=16_384)
        rules = [equal(*(f"{'가' * 50}{number:03}{place:02}" for place in range(16))) for number in range(20)]
        await served.change(rules)
        page = await served.page(20)
        assert 0 < len(page.rules) < 20
        assert page.ByteSize() < 16_384
        assert await served.rules(20) == rules


@pytest.mark.parametrize("token", ["?", "AAAA", "가", "a" * 10_000])
async def test_a_wrong_page_token_is_refused(served: Served, token: str) -> None:
    with pytest.raises(InvalidRequest, match=r"page_token: .*: start with the first page"):
        await served.page(token=token)


@pytest.mark.parametrize("size", [-1, 1001])
async def test_a_wrong_page_size_is_refused(served: Served, size: int) -> None:
    with pytest.raises(InvalidRequest, match="page_size"):
        await served.page(size)


async def test_concurrent_changes_are_all_made(served: Served) -> None:
    answers = await asyncio.gather(*(served.change(numbered(number), numbered(number - 1)) for number in range(40)))
    assert all(answer.added_count == 1 for answer in answers)
    assert len(await served.rules()) == max(answers, key=lambda answer: answer.sequence).rule_count
    await asyncio.gather(*(served.change(numbered(number), replace_all=True) for number in range(10)))
    assert len(await served.rules()) == 1


async def test_a_server_without_a_store_refuses_changes_and_lists_rules(served: Served) -> None:
    def read_only() -> Writer:
        raise ReadOnly("start it with --data")

    servicer = SynonymServicer(read_only, served.core.slot, Limits.of(Settings(bundle=Path())), Background())
    with pytest.raises(ReadOnly):
        await servicer.ChangeSynonyms(ChangeSynonymsRequest(add=numbered(1)), None)
    assert (await servicer.ListSynonyms(ListSynonymsRequest(), None)).rule_count == 0
