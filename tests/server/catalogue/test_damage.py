"""Tests that any damage to the database is detected or harmless."""

import contextlib
import random
import shutil
from pathlib import Path

import pytest

from server.catalogue.database import DATABASE, back_up, restore
from server.catalogue.feedback import Event, FeedbackKind, FeedbackLog, Promotion, record_promotions
from server.catalogue.rules import RuleKind
from server.catalogue.store import Store
from server.errors import DatabaseDamaged, StoreError
from tests.server.catalogue.stores import REVISION, document, vectors

DOCUMENTS = 60


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a backup, in which documents were replaced and deleted."""
    directory = tmp_path_factory.mktemp("whole")
    rng = random.Random(1)
    with contextlib.closing(Store(directory)) as store:
        for _ in range(2):
            with store.write() as transaction:
                for number in range(DOCUMENTS):
                    title = "".join(chr(rng.randrange(0xAC00, 0xD7A4)) for _ in range(rng.choice((5, 200, 3000))))
                    transaction.put(document(f"id {number}", title), vectors(number), revision=REVISION)
                transaction.delete("id 7")
                transaction.record_file({"id 8": b"digest"}, [])
                transaction.put_rule(RuleKind.SYNONYM, "rule", b"a -> b")
                transaction.record_rule_file(RuleKind.SYNONYM, {"rule": b"digest"}, [])
                record_promotions(transaction, [Promotion("id 1", f"example {number}", 2, 3) for number in range(50)])
        FeedbackLog(store).record([[Event(f"{n}", "query", "id 1", FeedbackKind.CLICKED, "user") for n in range(50)]])
    back_up(directory)
    return directory


def damaged_copy(whole: Path, to: Path, content: bytes) -> Path:
    shutil.copytree(whole, to)
    (to / DATABASE).write_bytes(content)
    return to


def opened(directory: Path) -> list[object]:
    """Opens a store and returns its whole content."""
    with contextlib.closing(Store(directory)) as store:
        versioned = [
            (each.sequence, each.document, each.vectors.matrix.tolist() if each.vectors else None)
            for each in store.after(0, REVISION)
        ]
        documents = [versioned, store.changes(0, 1000), store.page("", 1000), store.file_digests()]
        feedback = [list(FeedbackLog(store).evidence()), FeedbackLog(store).promotions()]
        rules = [store.rules(RuleKind.SYNONYM), store.rule_file_digests(RuleKind.SYNONYM)]
        return [store.sequence, documents, rules, feedback]


def test_a_changed_byte_is_detected_or_harmless(whole: Path, tmp_path: Path) -> None:
    rng = random.Random(2)
    expected = opened(shutil.copytree(whole, tmp_path / "whole"))
    content = (tmp_path / "whole" / DATABASE).read_bytes()
    # In the middle of long values, in the structure of pages, and in the file's header.
    places = [rng.randrange(len(content)) for _ in range(80)]
    places += [4096 * rng.randrange(len(content) // 4096) + rng.randrange(120) for _ in range(80)]
    places += list(range(0, 100, 2))
    errors: list[tuple[int, StoreError]] = []
    for number, place in enumerate(places):
        changed = bytearray(content)
        changed[place] ^= 1 << rng.randrange(8)
        directory = damaged_copy(whole, tmp_path / str(number), bytes(changed))
        try:
            found = opened(directory)
        except StoreError as error:
            errors.append((place, error))
        else:
            assert found == expected, place
        shutil.rmtree(directory)
    assert len(errors) > len(places) / 4
    for place, reported in errors:
        assert "\n" not in str(reported)
        if isinstance(reported, DatabaseDamaged):
            assert f"{DATABASE} is damaged" in str(reported)
            assert "restore the newest backup" in str(reported)
        else:  # It resembles a database of another program or version.
            assert place < 100, reported


def test_damage_to_an_index_or_to_the_schema_is_detected(whole: Path, tmp_path: Path) -> None:
    """Changes an id in an index, but not in its table, and the description of a table."""
    content = (whole / DATABASE).read_bytes()
    for text, other in ((b"id 33", b"id 3:"), (b"INTEGER PRIMARY KEY", b"INTEGES PRIMARY KEY")):
        place = content.rindex(text)
        changed = content[:place] + other + content[place + len(text) :]
        directory = damaged_copy(whole, tmp_path / other.hex(), changed)
        with pytest.raises(DatabaseDamaged):
            opened(directory)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.7, 0.999])
def test_a_truncated_file_is_detected(whole: Path, tmp_path: Path, share: float) -> None:
    content = (whole / DATABASE).read_bytes()
    directory = damaged_copy(whole, tmp_path / "cut", content[: int(len(content) * share)])
    with pytest.raises(DatabaseDamaged, match="restore the newest backup"):
        opened(directory)


@pytest.mark.parametrize("start", [0, 4096, 8192, 5 * 4096])
def test_a_page_of_zeros_is_detected_and_a_backup_restores_it(whole: Path, tmp_path: Path, start: int) -> None:
    content = bytearray((whole / DATABASE).read_bytes())
    content[start : start + 4096] = bytes(4096)
    directory = damaged_copy(whole, tmp_path / "zeros", bytes(content))
    (backup,) = (directory / "backups").iterdir()
    with pytest.raises(DatabaseDamaged, match=f"restore the newest backup.*{backup.name}"):
        opened(directory)
    restore(directory, backup)
    assert opened(directory) == opened(shutil.copytree(whole, tmp_path / "whole"))
