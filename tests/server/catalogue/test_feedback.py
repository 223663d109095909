"""Tests that the store keeps feedback: once, bounded, erasable, and without the keys of users."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.catalogue import feedback
from server.catalogue.database import DATABASE, back_up, restore
from server.catalogue.feedback import (
    DAY_SECONDS,
    Event,
    Evidence,
    FeedbackKind,
    FeedbackLog,
    Promotion,
    Recorded,
    forget_promotions,
    record_promotions,
)
from server.catalogue.location import Location
from server.catalogue.store import Store
from server.errors import DatabaseDamaged
from tests.server.catalogue.stores import execute, put

STORED, KNOWN, UNKNOWN, TOO_MANY = Recorded
CLICKED, REJECTED, SHOWN = FeedbackKind.CLICKED, FeedbackKind.REJECTED, FeedbackKind.SHOWN


def event(
    user: str = "mina",
    *,
    search: str = "s",
    query: str = "환율",
    id: str = "a",
    kind: FeedbackKind = CLICKED,
    rank: int = 0,
) -> Event:
    return Event(search, query, id, kind, user, rank)


@pytest.fixture
def store(location: Location) -> Iterator[Store]:
    with contextlib.closing(Store(location, durable=False)) as store:
        put(store, "a", "b")
        yield store


@pytest.fixture
def log(store: Store) -> FeedbackLog:
    return FeedbackLog(store)


class Clock:
    """A time that a test sets."""

    def __init__(self) -> None:
        self.seconds = 2_000_000_000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(FeedbackLog, "now_seconds", lambda _: clock.seconds)
    return clock


def test_an_event_counts_once_by_search_document_kind_and_user(log: FeedbackLog) -> None:
    first = event()
    others = [event("yuna"), event(search="t"), event(id="b"), event(kind=REJECTED)]
    assert log.record([[first, first], [event(query="other", rank=3)]]) == [[STORED, KNOWN], [KNOWN]]
    assert log.record([others]) == [[STORED] * 4]
    assert log.record([[first, *others]]) == [[KNOWN] * 5]


@given(st.lists(st.tuples(st.sampled_from("st"), st.sampled_from("ab"), st.sampled_from(FeedbackKind), st.text())))
def test_events_are_the_same_only_if_all_of_their_parts_are(
    new_location: Callable[[], Location], parts: list[tuple[str, str, FeedbackKind, str]]
) -> None:
    with contextlib.closing(Store(new_location(), durable=False)) as store:
        put(store, "a", "b")
        events = [event(user, search=search, id=id, kind=kind) for search, id, kind, user in parts]
        (recorded,) = FeedbackLog(store).record([events])
        assert recorded.count(STORED) == len(set(parts))


def test_evidence_has_what_each_user_did(log: FeedbackLog) -> None:
    log.record([[event(rank=2), event(search="t", rank=4), event(kind=REJECTED), event("yuna", kind=SHOWN)]])
    (only,) = log.evidence()
    assert only == Evidence("환율", "a", only.user, clicked=True, converted=False, rejected=True, rank=3)
    assert log.shown() == {("환율", "a"): 1}


def test_events_of_unknown_documents_are_not_stored(log: FeedbackLog, store: Store) -> None:
    with store.write() as transaction:
        transaction.delete("b")
    assert log.record([[event(id="b"), event(id="c"), event()]]) == [[UNKNOWN, UNKNOWN, STORED]]


def test_a_flood_from_one_user_is_bounded_for_a_day(log: FeedbackLog, clock: Clock) -> None:
    flood = [event(search=f"{number}") for number in range(feedback.MAX_USER_EVENTS + 1)]
    assert log.record([flood, [event("yuna")]]) == [[STORED] * feedback.MAX_USER_EVENTS + [TOO_MANY], [STORED]]
    assert log.record([flood[-1:]]) == [[TOO_MANY]]
    clock.seconds += DAY_SECONDS
    assert log.record([flood[-1:]]) == [[STORED]]


def test_feedback_changes_no_sequence(log: FeedbackLog, store: Store) -> None:
    log.record([[event()]])
    assert store.sequence == 2
    assert put(store, "c") == [3]


def test_a_user_is_erased_and_others_are_not(log: FeedbackLog) -> None:
    log.record([[event(), event(id="b"), event("yuna")]])
    assert log.erase_user("mina") == 2
    assert log.erase_user("mina") == 0
    assert len(list(log.evidence())) == 1
    assert log.record([[event()]]) == [[STORED]], "an erased event is no longer known"


def test_old_events_are_erased_in_portions(log: FeedbackLog, clock: Clock) -> None:
    log.record([[event(f"{number}") for number in range(5)]])
    clock.seconds += 10
    log.record([[event("new")]])
    assert [log.erase_before(clock.seconds, limit=3) for _ in range(3)] == [3, 2, 0]
    assert len(list(log.evidence())) == 1


def test_the_oldest_events_above_the_most_are_erased(log: FeedbackLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feedback, "MAX_EVENTS", 4)
    log.record([[event(f"{number}", query=f"{number}") for number in range(10)]])
    assert [log.erase_excess(limit=5) for _ in range(3)] == [5, 1, 0]
    assert [each.query for each in log.evidence()] == ["6", "7", "8", "9"]


def test_no_key_of_a_user_and_no_id_of_a_search_is_in_the_database(tmp_path: Path) -> None:
    with contextlib.closing(Store(tmp_path)) as store:
        put(store, "a")
        FeedbackLog(store).record([[event("mina@example.com", search="5f1c2a")]])
    content = (tmp_path / DATABASE).read_bytes()
    assert "환율".encode() in content
    assert b"mina@" not in content
    assert b"5f1c2a" not in content


def test_feedback_survives_a_backup_and_can_be_erased_from_it(tmp_path: Path) -> None:
    with contextlib.closing(Store(tmp_path)) as store:
        put(store, "a")
        FeedbackLog(store).record([[event()]])
        with store.write() as transaction:
            record_promotions(transaction, [Promotion("a", "환율", 2, 7)])
    backup = back_up(tmp_path)
    restore(tmp_path, backup)
    with contextlib.closing(Store(tmp_path)) as again:
        again.verify()
        assert FeedbackLog(again).promotions() == [Promotion("a", "환율", 2, 7)]
        assert FeedbackLog(again).erase_user("mina") == 1


def test_promotions_are_listed_in_pages_and_forgotten(log: FeedbackLog, store: Store) -> None:
    made = [Promotion(id, text, 2, 5) for id in "ab" for text in ("가", "나", "다")]
    with store.write() as transaction:
        record_promotions(transaction, reversed(made))
        record_promotions(transaction, made[:1])
    pages, after = [], ("", "")
    while page := log.promotions(after=after, limit=4):
        pages.append(page)
        after = page[-1][:2]
    assert pages == [made[:4], made[4:]]
    with store.write() as transaction:
        forget_promotions(transaction, [*made[1:], Promotion("unknown", "", 0)])
    assert log.promotions() == made[:1]


@pytest.mark.parametrize("change", ["UPDATE feedback SET query = 'b'", "UPDATE promotions SET users = 9"])
def test_a_changed_value_is_detected(log: FeedbackLog, store: Store, change: str) -> None:
    log.record([[event()]])
    with store.write() as transaction:
        record_promotions(transaction, [Promotion("a", "환율", 2, 7)])
    store.verify()
    execute(store, change)
    with pytest.raises(DatabaseDamaged, match="the checksum of a row of feedback is wrong"):
        store.verify()


def test_users_who_clicked_or_converted_are_counted_once(log: FeedbackLog, clock: Clock) -> None:
    log.record([[event(search="old")]])
    clock.seconds += 100
    clicked = [event(search="1"), event(search="2"), event("jun"), event("jun", kind=FeedbackKind.CONVERTED)]
    others = [event("sori", kind=SHOWN), event("sori", kind=REJECTED), event(id="b", kind=SHOWN)]
    log.record([clicked, others, [event(search="b", id="b")]])
    assert log.users_by_document(clock.seconds) == {"a": 2, "b": 1}
    assert log.users_by_document(clock.seconds + 1) == {}
