"""Tests that a file of synonyms is imported like the catalogue file."""

from pathlib import Path

import pytest

from server import commands
from server.catalogue.rules import DeleteRule, PutRule, RuleKind
from server.errors import CatalogueError
from server.writing.rules import RuleChanges
from tests.server.catalogue.stores import directory_of
from tests.server.making import WatchedBundle
from tests.server.synonyms.making import rule
from tests.server.writing.making import Core, running

KIND = RuleKind.SYNONYM


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def live(core: Core) -> list[str]:
    """Returns the rules of the state that searches use."""
    return [each.text for each in core.index.state.rules.synonyms.rules]


async def put(core: Core, *lines: str) -> None:
    changes = [PutRule(KIND, rule(line).id, rule(line).text.encode()) for line in lines]
    await core.writer.change_rules(RuleChanges(changes))


async def delete(core: Core, *lines: str) -> None:
    await core.writer.change_rules(RuleChanges([DeleteRule(KIND, rule(line).id) for line in lines]))


async def test_only_what_changed_in_the_file_is_changed(core: Core, tmp_path: Path) -> None:
    file = write(tmp_path / "synonyms.txt", "a -> b", "c = d  # letters", "")
    await core.import_synonyms(file)
    assert (live(core), core.store.sequence) == (["a -> b", "c = d"], 2)
    await core.import_synonyms(write(file, "c=d", "# now the other one", "a → b"))
    assert core.store.sequence == 2
    await core.import_synonyms(write(file, "c = d", "a -> c"))
    assert (live(core), core.store.sequence) == (["a -> c", "c = d"], 4)


async def test_rules_of_the_service_stay_until_the_file_changes_them(core: Core, tmp_path: Path) -> None:
    file = write(tmp_path / "synonyms.txt", "a -> b", "c -> d")
    await put(core, "x -> y", "e -> f")
    await core.import_synonyms(file)
    await delete(core, "a -> b")
    await core.import_synonyms(write(file, "a -> b", "c -> d", "e -> f"))
    assert live(core) == ["c -> d", "e -> f", "x -> y"], "the line of a has not changed"
    await core.import_synonyms(write(file, "c -> d"))
    assert live(core) == ["c -> d", "x -> y"], "the rule of the service belonged to the file"
    await core.import_synonyms(write(file, "c -> d", "a -> b"))
    assert live(core) == ["a -> b", "c -> d", "x -> y"]


async def test_a_restart_and_another_model_keep_the_rules(
    core: Core, tmp_path: Path, other_bundle: Path, tiny_bundle: Path
) -> None:
    await core.import_synonyms(write(tmp_path / "synonyms.txt", "a -> b"))
    await put(core, "x -> y")
    await core.take_over(WatchedBundle(other_bundle))
    assert live(core) == ["a -> b", "x -> y"]
    await put(core, "u -> v")
    directory = directory_of(core.store)
    await core.close()
    async with running(directory, tiny_bundle) as again:
        assert live(again) == ["a -> b", "u -> v", "x -> y"]
        await again.import_synonyms(tmp_path / "synonyms.txt")
        assert again.store.sequence == 3


async def test_exported_rules_are_imported_as_they_were(core: Core, tmp_path: Path, tiny_bundle: Path) -> None:
    await put(core, "ko: 체카 = 체크카드 = 체크 카드", "마통 -> 마이너스통장", "en-us: cc -> credit card")
    rules = core.index.state.rules.synonyms
    file = tmp_path / "synonyms.txt"
    flags = ["--data", str(directory_of(core.store)), "--to", str(tmp_path / "c.jsonl"), "--synonyms-to", str(file)]
    commands.run(["export-catalogue", *flags])
    async with running(tmp_path / "other", tiny_bundle) as other:
        await other.import_synonyms(file)
        assert other.slot.engine.index.state.rules.synonyms == rules


async def test_a_restored_backup_has_the_rules(core: Core, tmp_path: Path, tiny_bundle: Path) -> None:
    await put(core, "체카 = 체크카드")
    backup = tmp_path / "backup.sqlite"
    commands.run(["backup", "--data", str(directory_of(core.store)), "--to", str(backup)])
    await put(core, "마통 -> 마이너스통장")
    (tmp_path / "other").mkdir()
    commands.run(["restore", "--data", str(tmp_path / "other"), "--from", str(backup)])
    async with running(tmp_path / "other", tiny_bundle) as other:
        assert live(other) == ["체카 = 체크카드"]


async def test_a_file_with_a_wrong_line_changes_nothing(core: Core, tmp_path: Path) -> None:
    file = write(tmp_path / "synonyms.txt", "a -> b")
    await core.import_synonyms(file)
    with pytest.raises(CatalogueError, match=r"synonyms\.txt:2: the rule has neither `->` nor `=`: write"):
        await core.import_synonyms(write(file, "c -> d", "e, f"))
    assert live(core) == ["a -> b"]


async def test_a_file_that_has_no_room_beside_the_rules_of_the_service_changes_nothing(
    core: Core, tmp_path: Path
) -> None:
    await put(core, *(f"a{number} -> b" for number in range(9_999)))
    with pytest.raises(CatalogueError, match=r"synonyms\.txt: there are 10001 rules: keep at most 10000"):
        await core.import_synonyms(write(tmp_path / "synonyms.txt", "x -> y", "y -> z"))
    assert len(live(core)) == 9_999


@pytest.mark.parametrize(("before", "now", "allowed"), [(62, 1, False), (62, 50, True), (5, 1, False), (5, 2, True)])
async def test_a_file_that_shrinks_too_much_is_refused(
    core: Core, tmp_path: Path, before: int, now: int, allowed: bool
) -> None:
    file = write(tmp_path / "synonyms.txt", *(f"a{number} -> b" for number in range(before)))
    await core.import_synonyms(file, max_shrink=0.2)
    write(file, *(f"a{number} -> b" for number in range(now)))
    if allowed:
        await core.import_synonyms(file, max_shrink=0.2)
        assert len(live(core)) == now
        return
    counts = rf"synonyms\.txt has {now} rules, and had {before} .* set --max-catalogue-shrink to 0\.\d+ or more"
    with pytest.raises(CatalogueError, match=counts):
        await core.import_synonyms(file, max_shrink=0.2)
    assert len(live(core)) == before


async def test_all_rules_of_a_file_may_be_edited_at_once(core: Core, tmp_path: Path) -> None:
    file = write(tmp_path / "synonyms.txt", *(f"a{number} -> b" for number in range(20)))
    await core.import_synonyms(file, max_shrink=0.2)
    await core.import_synonyms(write(file, *(f"a{number} -> c" for number in range(20))), max_shrink=0.2)
    assert all(text.endswith("-> c") for text in live(core))


async def test_rules_of_merchandising_are_imported_and_exported_too(
    core: Core, tmp_path: Path, tiny_bundle: Path
) -> None:
    pin, boost = (
        '{"id": "b", "query": "카드", "pinned_ids": ["x"]}',
        '{"boosts": [{"share": 0.1, "attribute": "n", "half_value": 1}], "id": "a"}',
    )
    file = write(tmp_path / "rules.jsonl", pin, "", boost)
    await core.import_rules(RuleKind.MERCHANDISING, file)
    rules = core.index.state.rules.merchandising.table
    assert [each.id for each in rules.rules] == ["a", "b"]
    await core.import_rules(RuleKind.MERCHANDISING, write(file, boost, pin))
    assert core.store.sequence == 2
    exported = tmp_path / "exported.jsonl"
    flags = ["--data", str(directory_of(core.store)), "--to", str(tmp_path / "c.jsonl"), "--rules-to", str(exported)]
    commands.run(["export-catalogue", *flags])
    async with running(tmp_path / "other", tiny_bundle) as other:
        await other.import_rules(RuleKind.MERCHANDISING, exported)
        assert other.slot.engine.index.state.rules.merchandising.table == rules


async def test_rules_of_a_file_that_name_what_the_catalogue_lacks_are_logged(
    core: Core, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = (
        '{"id": "one", "query": "card", "pinned_ids": ["no-such-document"]}',
        '{"id": "two", "buried_if": [{"attribute": "no_such_attribute", "value": true}]}',
    )
    file = write(tmp_path / "rules.jsonl", *lines)
    await core.import_rules(RuleKind.MERCHANDISING, file)
    assert f"{file}: rule 'one'.pinned_ids[0]: no document has the id 'no-such-document'" in caplog.text
    assert f"{file}: rule 'two'.buried_if[0].attribute: " in caplog.text
