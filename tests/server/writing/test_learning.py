"""Tests that a running server learns from feedback, and takes it back, while it serves."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.catalogue.document import Document
from server.catalogue.feedback import Event, FeedbackKind, FeedbackLog
from server.errors import LearningFailed, LearningRefused
from server.feedback.learning import Lesson, Measured
from server.feedback.policy import Confirmed
from server.feedback.process import Studied
from server.logs.audit import AuditLog
from server.writing import learning as learning_module
from server.writing.learning import Learning, Learnt
from tests.server.making import until
from tests.server.writing.making import Core, running, titled, upserts

QUERY = "지갑 잃어버렸어"


def clicks(query: str, id: str, users: str = "12") -> list[Event]:
    return [Event(f"{query} {user} {id}", query, id, FeedbackKind.CLICKED, user, 3) for user in users]


@contextlib.asynccontextmanager
async def learning_of(core: Core, bundle: Path) -> AsyncIterator[Learning]:
    made = Learning(core.store, core.writer, core.metrics.feedback, AuditLog(on=True), bundle=bundle, weights={})
    try:
        yield made
    finally:
        await made.close()


def examples(core: Core, id: str = "card") -> list[str]:
    return core.stored(id).document.examples


def studied(*added: Confirmed, after: float = 1.0) -> Studied:
    return Studied(Lesson(list(added), []), Measured(1, {"dense": 0.5, "hybrid": 0.5}, {"dense": 0.5, "hybrid": after}))


def of(monkeypatch: pytest.MonkeyPatch, found: Studied) -> None:
    async def study(_: Learning) -> Studied:
        return found

    monkeypatch.setattr(Learning, "_study", study)


async def test_a_server_learns_measures_and_takes_it_back(tmp_path: Path, tiny_bundle: Path) -> None:
    async with running(tmp_path, tiny_bundle) as core, learning_of(core, tiny_bundle) as learning:
        await core.writer.upsert(upserts(titled("card", "카드 분실"), titled("rate", "환율")))
        await core.catalogue.feedback.record([*clicks(QUERY, "card"), *clicks("달러", "rate", "1")])
        planned = await learning.learn(dry_run=True)
        assert (planned.added, planned.documents) == (1, 0)
        assert planned.measured is not None
        assert planned.measured.questions == 1
        assert examples(core) == []
        learnt = await learning.learn()
        assert learnt[:3] == (1, 0, 1)
        assert examples(core) == [QUERY]
        assert (await core.found(QUERY, limit=1)) == ["card"]
        assert [each[:3] for each in FeedbackLog(core.store).promotions()] == [("card", QUERY, 2)]
        assert core.value("chaja_promotions") == 1
        assert core.value("chaja_learn_runs_total", result="learnt") == 1
        assert core.value("chaja_learn_questions") == 1
        assert (await learning.learn())[:3] == (0, 0, 0), "a query is learnt once"
        assert await learning.learn(undo=True) == Learnt(0, 1, 1)
        assert examples(core) == []
        assert core.value("chaja_promotions") == 0


async def test_what_would_make_hits_worse_is_refused(
    tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of(monkeypatch, studied(Confirmed(QUERY, "card", 2, 1.0, 1.0), after=0.4))
    async with running(tmp_path, tiny_bundle) as core, learning_of(core, tiny_bundle) as learning:
        await core.writer.upsert(upserts(titled("card", "카드 분실")))
        with pytest.raises(LearningRefused, match="hybrid"):
            await learning.learn()
        assert examples(core) == []
        assert core.value("chaja_learn_runs_total", result="refused") == 1
        assert core.value("chaja_learn_recall", mode="hybrid", when="after") == 0.4


async def test_documents_that_have_changed_meanwhile_keep_their_changes(
    tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lesson = [Confirmed(QUERY, id, 2, 1.0, 1.0) for id in ("card", "gone", "rate")]
    of(monkeypatch, studied(*lesson))
    async with running(tmp_path, tiny_bundle) as core, learning_of(core, tiny_bundle) as learning:
        await core.writer.upsert(upserts(titled("rate", "환율"), Document(id="card", title="카드", examples=[QUERY])))
        assert (await learning.learn())[:3] == (1, 0, 1)
        assert examples(core) == [QUERY]
        assert examples(core, "rate") == [QUERY]
        promotions = FeedbackLog(core.store).promotions()
        assert [each.document_id for each in promotions] == ["rate"], "an example of people is none of ours"


async def test_a_conflicting_write_wins(tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of(monkeypatch, studied(Confirmed(QUERY, "card", 2, 1.0, 1.0)))
    async with running(tmp_path, tiny_bundle) as core, learning_of(core, tiny_bundle) as learning:
        await core.writer.upsert(upserts(titled("card", "카드 분실")))
        stale = learning._stored({"card"})
        await core.writer.upsert(upserts(titled("card", "카드 정지")))
        monkeypatch.setattr(learning, "_stored", lambda _: stale)
        assert (await learning.learn())[:3] == (0, 0, 0)
        assert core.stored("card").document == titled("card", "카드 정지")
        assert FeedbackLog(core.store).promotions() == []


async def test_a_failed_study_changes_nothing(tmp_path: Path, tiny_bundle: Path) -> None:
    async with running(tmp_path, tiny_bundle) as core, learning_of(core, tmp_path / "none") as learning:
        with pytest.raises(LearningFailed, match="none"):
            await learning.learn()
        assert core.value("chaja_learn_runs_total", result="failed") == 1


async def test_learning_repeats_at_its_interval(
    tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of(monkeypatch, studied())
    monkeypatch.setattr(learning_module, "FIRST_SECONDS", 0.01)
    async with running(tmp_path, tiny_bundle) as core, learning_of(core, tiny_bundle) as learning:
        learning.start(every_seconds=0.02)
        await until(lambda: (core.value("chaja_learn_runs_total", result="unchanged") or 0) >= 3)


async def test_a_running_study_is_ended(tmp_path: Path, tiny_bundle: Path) -> None:
    async with running(tmp_path, tiny_bundle) as core:
        async with learning_of(core, tiny_bundle) as learning:
            waiting = asyncio.create_task(learning.learn())
            await asyncio.sleep(0.2)
        with pytest.raises(asyncio.CancelledError):
            await waiting
