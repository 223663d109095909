"""Tests that the databases of older versions are opened, and that nothing in them is wrong afterwards."""

import contextlib
import sqlite3
import unicodedata
import zlib
from pathlib import Path

import pytest

from server.catalogue.acknowledged import ACKNOWLEDGED, read_acknowledged
from server.catalogue.changes import Change
from server.catalogue.database import DATABASE, restore
from server.catalogue.document import Document
from server.catalogue.feedback import FeedbackLog
from server.catalogue.rules import RuleKind
from server.catalogue.schema import FEEDBACK_VERSION, RULES_VERSION
from server.catalogue.store import Store
from tests.server.catalogue.stores import REVISION, put, vectors

DECOMPOSED = unicodedata.normalize("NFD", "환율")

SAME = [
    Document(id="composed", title={"ko": "환율", "en": "rate"}, text={"en": "text", "ko": "글"}),
    Document(id="only an attribute", title="환율", attributes={"name": DECOMPOSED}),
    Document(id="another language", title={"ko": "환율"}, text={"en-US": "text"}),
]
OTHERWISE = [
    Document(id="title", title=DECOMPOSED),
    Document(id="example", title="A", examples=["B", DECOMPOSED]),
    Document(id="language", title={"ko": "환율", "en": "rate"}, text={"en-US": "text"}),
]
"""Documents of which other texts are encoded since texts are composed and titles chosen by BCP 47."""

GAPS, COMPOSED, USED, HELD = 2, 3, 6, 7
"""Versions: the first with gaps, that encodes composed texts, stores when a model was used, and who holds an import."""

ADDED = {
    "gaps": GAPS,
    "rules": RULES_VERSION,
    "file_rules": RULES_VERSION,
    "feedback": FEEDBACK_VERSION,
    "promotions": FEEDBACK_VERSION,
}
"""The first version with each table that was added."""


def back_to(directory: Path, version: int) -> None:
    """Undoes the later migrations of a database."""
    with contextlib.closing(sqlite3.connect(directory / DATABASE)) as connection, connection:
        for table, since in ADDED.items():
            if version < since:
                connection.execute(f"DROP TABLE {table}")
        if version < HELD:
            connection.execute("ALTER TABLE import_positions DROP COLUMN holder")
        if version < USED:
            connection.execute("ALTER TABLE revisions DROP COLUMN used_seconds")
        connection.execute(f"PRAGMA user_version = {version}")
    acknowledged = read_acknowledged(directory).sequence.to_bytes(8, "little")
    (directory / ACKNOWLEDGED).write_bytes(acknowledged + zlib.crc32(acknowledged).to_bytes(4, "little"))


@pytest.mark.parametrize("version", range(1, COMPOSED))
def test_vectors_of_other_texts_are_removed_and_all_else_is_kept(tmp_path: Path, version: int) -> None:
    documents = [*SAME, *OTHERWISE]
    with contextlib.closing(Store(tmp_path)) as store, store.write() as transaction:
        for document in documents:
            transaction.put(document, vectors(), revision=REVISION)
    back_to(tmp_path, version)
    with contextlib.closing(Store(tmp_path)) as again:
        again.verify()
        kept = {each.document.id: each.vectors is not None for each in again.after(0, REVISION)}
        assert kept == {document.id: document in SAME for document in documents}
        in_order = [Change(number, document.id, document) for number, document in enumerate(documents, start=1)]
        assert again.changes(0, 100) == in_order
        assert put(again, "next") == [len(documents) + 1], "it is no copy"
    assert len(list((tmp_path / "backups").iterdir())) == 1


def test_vectors_of_a_database_without_rules_are_kept(tmp_path: Path) -> None:
    with contextlib.closing(Store(tmp_path)) as store:
        put(store, "a", "b")
    back_to(tmp_path, COMPOSED)
    with contextlib.closing(Store(tmp_path)) as again:
        again.verify()
        assert all(each.vectors is not None for each in again.after(0, REVISION))
        assert again.rules(RuleKind.SYNONYM) == []


def test_rules_of_a_database_without_feedback_are_kept(tmp_path: Path) -> None:
    with contextlib.closing(Store(tmp_path)) as store, store.write() as transaction:
        transaction.put_rule(RuleKind.SYNONYM, "a", b"x")
    back_to(tmp_path, RULES_VERSION)
    with contextlib.closing(Store(tmp_path)) as again:
        again.verify()
        assert [rule.id for rule in again.rules(RuleKind.SYNONYM)] == ["a"]
        assert list(FeedbackLog(again).evidence()) == []
        assert FeedbackLog(again).promotions() == []


def test_the_models_of_an_older_database_count_as_used_now(tmp_path: Path) -> None:
    with contextlib.closing(Store(tmp_path)) as store:
        put(store, "a")
    back_to(tmp_path, FEEDBACK_VERSION)
    with contextlib.closing(Store(tmp_path)) as again:
        assert again.unused_revisions(60) == []
        assert again.unused_revisions(-60) == [REVISION]


@pytest.mark.parametrize("version", range(1, RULES_VERSION))
def test_a_backup_of_an_older_version_is_restored(tmp_path: Path, version: int) -> None:
    older, directory = tmp_path / "older", tmp_path / "data"
    older.mkdir()
    directory.mkdir()
    with contextlib.closing(Store(older)) as store:
        put(store, "a")
    back_to(older, version)
    with contextlib.closing(Store(directory)) as store, store.write() as transaction:
        assert [transaction.put_rule(RuleKind.SYNONYM, id, b"") for id in "xyz"] == [1, 2, 3]
    restore(directory, older / DATABASE)
    with contextlib.closing(Store(directory)) as restored:
        restored.verify()
        assert [each.id for each in restored.changes(0, 10)] == ["a"]
        assert put(restored, "b")[0] > 3, "a sequence of the replaced rules is not used again"
