"""Tests which queries are replayed, and what counts as right."""

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest

from server.catalogue.document import Document
from server.catalogue.encoded import Vectors
from server.catalogue.feedback import Event, FeedbackKind, FeedbackLog
from server.catalogue.store import Store
from server.errors import CatalogueError, StoreError
from server.shadow.recordings import Recording, Recordings, read_recordings, recorded_feedback


def lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_equal_queries_of_a_file_are_one_recording(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "queries.jsonl",
        {"query": "rare", "kind": "part"},
        {"query": "카드  분실", "relevant": ["a"], "language": "ko"},
        {"query": "카드 분실", "relevant": ["b"]},
    )
    assert read_recordings(path, known={"a", "b"}, most=9).chosen == [
        Recording("카드 분실", "ko", 2, frozenset("ab")),
        Recording("rare"),
    ]
    assert read_recordings(path, known={"a", "b"}, most=1).left_out == 1


def test_a_log_with_texts_is_read(tmp_path: Path) -> None:
    slow = {"time": "2026-11-30T07:41:09.004Z", "logger": "server.slow", "message": "slow query", "hits": 10}
    path = lines(tmp_path / "log", {"logger": "server.app", "message": "serving"}, slow | {"query": "대출"}, slow)
    assert read_recordings(path, known=set(), most=9) == Recordings([Recording("대출")])
    silent = lines(tmp_path / "silent", slow)
    with pytest.raises(CatalogueError, match=r"has no queries: a log has them only with .*--log-texts on"):
        read_recordings(silent, known=set(), most=9)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no queries"),
        ('{"language": "ko"}', ":1: Object missing required field `query`"),
        ('{"query": "q", "Relevant": ["a"]}', ":1: .*unknown field `Relevant`; perhaps relevant is meant"),
        ('{"logger": "server.app"}\n{"query": "q"}', ":2: logger is missing"),
        ('{"query": " "}', ":1: query is blank"),
        ('{"query": 5}', ":1: "),
        ('{"query": "q", "relevant": ["x"]}', ":1: unknown document 'x': it is in none of the catalogues"),
        ("2026-11-30 07:41:09,004 WARNING server.slow: slow query", ":1: "),
        ("\x00\xff", ":1: "),
    ],
)
def test_a_file_without_usable_queries_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "queries.jsonl"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(CatalogueError, match="queries.jsonl.*" + message):
        read_recordings(path, known={"a"}, most=9)


def test_feedback_has_queries_and_confirmed_documents(tmp_path: Path) -> None:
    def event(query: str, user: str, kind: FeedbackKind = FeedbackKind.CLICKED) -> Event:
        return Event(f"{query} {user} {kind}", query, "a", kind, user)

    with contextlib.closing(Store(tmp_path, durable=False)) as store:
        log = FeedbackLog(store)
        with pytest.raises(StoreError, match="the store has no feedback"):
            recorded_feedback(log, known={"a"}, min_users=2, most=9)
        with store.write() as transaction:
            vectors = Vectors(np.zeros((1, 3), dtype=np.int32), np.ones((1, 4), dtype=np.float32))
            transaction.put(Document(id="a", title="a"), vectors, revision="r")
        shown = [event("shown", user, FeedbackKind.SHOWN) for user in "123"]
        log.record([[event("lost", "1"), event("Lost?", "2"), event("once", "1"), *shown]])
        found = recorded_feedback(log, known={"a"}, min_users=2, most=9).chosen
        assert {(each.text, each.times, each.relevant) for each in found} == {
            ("shown", 3, frozenset()),
            ("lost", 1, frozenset("a")),
            ("Lost?", 1, frozenset("a")),
            ("once", 1, frozenset()),
        }
        assert found[0].text == "shown"
        (known,) = {each.relevant for each in recorded_feedback(log, known=set(), min_users=1, most=9).chosen}
        assert known == frozenset(), "the document is in no catalogue any more"
