"""Tests that changes of rules are durable, all or none, and in the state that searches use."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from server.catalogue.rules import DeleteRule, PutRule, RuleKind, StoredRule
from server.errors import Conflict, InvalidRequest, UnfitRule
from server.synonyms.rule import Rule
from server.writing.rules import RuleChanges, RuleFile
from tests.server.making import WatchedBundle
from tests.server.writing.making import Core, running, summary, titled, upserts

KIND = RuleKind.SYNONYM


def id_of(text: str) -> str:
    rule = Rule.parse(text)
    assert rule is not None
    return rule.id


def put_rules(*texts: str) -> list[PutRule | DeleteRule]:
    return [PutRule(KIND, id_of(text), text.encode()) for text in texts]


def texts(rules: Sequence[StoredRule]) -> set[str]:
    return {rule.content.decode() for rule in rules}


def live(core: Core) -> list[str]:
    """Returns the rules of the state that searches use."""
    return [rule.text for rule in core.index.state.rules.synonyms.rules]


async def test_rules_are_in_the_state_when_the_call_is_answered(core: Core) -> None:
    outcomes = await core.writer.change_rules(RuleChanges(put_rules("a -> b", "c = d")))
    assert summary(outcomes) == [(id_of("a -> b"), 1, True, None), (id_of("c = d"), 2, True, None)]
    assert live(core) == ["a -> b", "c = d"]
    assert core.index.state.sequence == 2
    changes = [*put_rules("a -> b"), DeleteRule(KIND, "?"), DeleteRule(KIND, id_of("c = d"))]
    outcomes = await core.writer.change_rules(RuleChanges(changes))
    assert summary(outcomes) == [
        (id_of("a -> b"), 1, False, None),
        ("?", 0, False, None),
        (id_of("c = d"), 3, True, None),
    ]
    assert live(core) == ["a -> b"]


async def test_an_unfit_rule_rejects_its_whole_request_and_no_other(core: Core) -> None:
    results = await asyncio.gather(
        core.writer.change_rules(RuleChanges(put_rules("a -> b"))),
        core.writer.change_rules(RuleChanges([*put_rules("x -> y"), PutRule(KIND, "1", b"no rule")])),
        core.writer.upsert(upserts(titled("a"))),
        core.writer.change_rules(RuleChanges(put_rules("c -> d"))),
        return_exceptions=True,
    )
    assert [isinstance(each, UnfitRule) for each in results] == [False, True, False, False]
    assert live(core) == ["a -> b", "c -> d"]
    assert texts(core.store.rules(KIND)) == {"a -> b", "c -> d"}
    assert core.store.sequence == 3


async def test_a_rule_of_another_version_rejects_the_request(core: Core) -> None:
    await core.writer.change_rules(RuleChanges(put_rules("a -> b")))
    id = id_of("a -> b")
    changes = [*put_rules("c -> d"), PutRule(KIND, id, b"a -> b", expected_version=0)]
    with pytest.raises(Conflict, match=rf"rule '{id}' has version 1; it was expected not to exist: read it again"):
        await core.writer.change_rules(RuleChanges(changes))
    assert live(core) == ["a -> b"]
    changes = [DeleteRule(KIND, id, expected_version=1)]
    assert summary(await core.writer.change_rules(RuleChanges(changes))) == [(id, 2, True, None)]


async def test_replacing_deletes_all_rules_that_are_not_given(core: Core) -> None:
    await core.writer.change_rules(RuleChanges(put_rules("a -> b", "c -> d", "e -> f")))
    outcomes = await core.writer.change_rules(RuleChanges(put_rules("c -> d", "g -> h"), replaced=KIND))
    assert summary(outcomes)[:2] == [(id_of("c -> d"), 2, False, None), (id_of("g -> h"), 4, True, None)]
    assert {each.id for each in outcomes[2:]} == {id_of("a -> b"), id_of("e -> f")}
    assert live(core) == ["c -> d", "g -> h"]


async def test_a_repeated_request_changes_nothing(core: Core) -> None:
    changes = RuleChanges(put_rules("a -> b"))
    first = await core.writer.change_rules(changes, request_id="1")
    await core.writer.change_rules(RuleChanges([DeleteRule(KIND, id_of("a -> b"))]))
    assert await core.writer.change_rules(changes, request_id="1") == first
    assert live(core) == []
    with pytest.raises(InvalidRequest, match="request_id"):
        await core.writer.change_rules(RuleChanges(put_rules("c -> d")), request_id="1")


async def test_rules_and_the_digests_of_their_file_are_durable(tmp_path: Path, tiny_bundle: Path) -> None:
    bundle = WatchedBundle(tiny_bundle)
    async with running(tmp_path, bundle) as core:
        file = RuleFile(KIND, {"a -> b": b"digest"})
        await core.writer.change_rules(RuleChanges(put_rules("a -> b"), file=file))
    async with running(tmp_path, bundle) as core:
        assert live(core) == ["a -> b"]
        assert core.index.state.sequence == 1
        assert core.store.rule_file_digests(KIND) == {"a -> b": b"digest"}


async def test_another_model_has_the_rules(core: Core, tiny_bundle: Path) -> None:
    await core.writer.change_rules(RuleChanges(put_rules("a -> b")))
    await core.take_over(WatchedBundle(tiny_bundle))
    assert live(core) == ["a -> b"]
    await core.writer.change_rules(RuleChanges(put_rules("c -> d")))
    assert live(core) == ["a -> b", "c -> d"]
