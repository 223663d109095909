"""Tests that a running server learns from feedback, and takes it back, while it serves."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import msgspec
import pytest

from server.catalogue.database import DATABASE
from server.catalogue.document import Document
from server.catalogue.feedback import Event, FeedbackKind, FeedbackLog
from server.catalogue.location import text_of
from server.encoding.golden import GOLDEN_FILE
from server.encoding.manifest import read_manifest
from server.errors import LearningFailed, LearningRefused
from server.feedback.learning import Lesson, Measured
from server.feedback.policy import Confirmed
from server.feedback.process import Studied, Task
from server.files import file_digest
from server.logs.audit import AuditLog
from server.writing import learning as learning_module
from server.writing.learning import Learning, Learnt
from server.writing.study import run_study
from tests.server.making import until
from tests.server.writing.making import Core, running, titled, upserts
from tests.tiny_bundle import write_manifest

QUERY = "지갑 잃어버렸어"


def clicks(query: str, id: str, users: str = "12") -> list[Event]:
    return [Event(f"{query} {user} {id}", query, id, FeedbackKind.CLICKED, user, 3) for user in users]


Study = Callable[[], Awaitable[Studied]]


def task_of(core: Core) -> Task:
    bundle = core.bundle
    return Task(text_of(core.store.location), str(bundle.directory), bundle.manifest.revision, {}, bundle.cutting)


@contextlib.asynccontextmanager
async def learning_of(core: Core, study: Study | None = None) -> AsyncIterator[Learning]:
    """Learns with a process as the server does, or with another study."""
    study = study or partial(run_study, task_of(core))
    made = Learning(core.store, core.writer, core.metrics.feedback, AuditLog(on=True), study=study)
    try:
        yield made
    finally:
        await made.close()


def examples(core: Core, id: str = "card") -> list[str]:
    return core.stored(id).document.examples


def studied(*added: Confirmed, after: float = 1.0) -> Studied:
    return Studied(Lesson(list(added), []), Measured(1, {"dense": 0.5, "hybrid": 0.5}, {"dense": 0.5, "hybrid": after}))


def finding(found: Studied) -> Study:
    async def study() -> Studied:
        return found

    return study


async def test_a_server_learns_measures_and_takes_it_back(tmp_path: Path, tiny_bundle: Path) -> None:
    async with running(tmp_path, tiny_bundle) as core, learning_of(core) as learning:
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


async def test_what_would_make_hits_worse_is_refused(tmp_path: Path, tiny_bundle: Path) -> None:
    study = finding(studied(Confirmed(QUERY, "card", 2, 1.0, 1.0), after=0.4))
    async with running(tmp_path, tiny_bundle) as core, learning_of(core, study) as learning:
        await core.writer.upsert(upserts(titled("card", "카드 분실")))
        with pytest.raises(LearningRefused, match="hybrid"):
            await learning.learn()
        assert examples(core) == []
        assert core.value("chaja_learn_runs_total", result="refused") == 1
        assert core.value("chaja_learn_recall", mode="hybrid", when="after") == 0.4


async def test_documents_that_have_changed_meanwhile_keep_their_changes(tmp_path: Path, tiny_bundle: Path) -> None:
    study = finding(studied(*(Confirmed(QUERY, id, 2, 1.0, 1.0) for id in ("card", "gone", "rate"))))
    async with running(tmp_path, tiny_bundle) as core, learning_of(core, study) as learning:
        await core.writer.upsert(upserts(titled("rate", "환율"), Document(id="card", title="카드", examples=[QUERY])))
        assert (await learning.learn())[:3] == (1, 0, 1)
        assert examples(core) == [QUERY]
        assert examples(core, "rate") == [QUERY]
        promotions = FeedbackLog(core.store).promotions()
        assert [each.document_id for each in promotions] == ["rate"], "an example of people is none of ours"


async def test_a_conflicting_write_wins(tmp_path: Path, tiny_bundle: Path) -> None:
    study = finding(studied(Confirmed(QUERY, "card", 2, 1.0, 1.0)))
    async with running(tmp_path, tiny_bundle) as core, learning_of(core, study) as learning:
        await core.writer.upsert(upserts(titled("card", "카드 분실")))
        core.bundle.gate.clear()
        core.bundle.batches.clear()
        learnt = asyncio.create_task(learning.learn())
        await until(lambda: core.bundle.batches)  # It has read the document, and encodes its new example.
        changed = Document(id="card", title="카드 분실", attributes={"fee": 1.0})
        await core.writer.upsert(upserts(changed))
        core.bundle.gate.set()
        assert (await learnt)[:3] == (0, 0, 0)
        assert core.stored("card").document == changed
        assert FeedbackLog(core.store).promotions() == []


async def test_equal_calls_that_wait_share_a_run(tmp_path: Path, tiny_bundle: Path) -> None:
    started, finish, studies = asyncio.Event(), asyncio.Event(), 0

    async def study() -> Studied:
        nonlocal studies
        studies += 1
        started.set()
        await finish.wait()
        return studied()

    async with running(tmp_path, tiny_bundle) as core, learning_of(core, study) as learning:
        first = asyncio.create_task(learning.learn())
        await started.wait()
        waiting = [asyncio.create_task(learning.learn()) for _ in range(3)]
        planned = asyncio.create_task(learning.learn(dry_run=True))
        await asyncio.sleep(0)
        waiting.pop().cancel()
        finish.set()
        await asyncio.gather(first, planned, *waiting)
        assert studies == 3, "the first, one for those that waited, and the dry run"
        assert core.value("chaja_learn_runs_total", result="unchanged") == 2
        await learning.learn()
        assert studies == 4


async def test_a_bundle_that_does_not_serve_is_not_measured(
    tmp_path: Path, tiny_bundle: Path, other_bundle: Path
) -> None:
    async with running(tmp_path, tiny_bundle) as core:
        study = partial(run_study, task_of(core)._replace(bundle=str(other_bundle)))
        async with learning_of(core, study) as learning:
            with pytest.raises(LearningFailed, match="reload first"):
                await learning.learn()


async def test_a_bundle_that_computes_wrong_vectors_is_not_measured(tmp_path: Path, tiny_bundle: Path) -> None:
    wrong = Path(shutil.copytree(tiny_bundle, tmp_path / "wrong"))
    golden = json.loads((wrong / GOLDEN_FILE).read_text())
    for each in golden:
        each["vector"] = [-value for value in each["vector"]]
    (wrong / GOLDEN_FILE).write_text(json.dumps(golden))
    manifest = read_manifest(wrong)
    files = manifest.files | {GOLDEN_FILE: file_digest(wrong / GOLDEN_FILE)}
    write_manifest(wrong, msgspec.structs.replace(manifest, files=files))
    async with running(tmp_path / "data", wrong) as core:
        with pytest.raises(LearningFailed, match="wrong vectors"):
            await run_study(task_of(core))


async def test_a_failed_study_changes_nothing(tmp_path: Path, tiny_bundle: Path) -> None:
    async with running(tmp_path, tiny_bundle) as core:
        study = partial(run_study, task_of(core)._replace(bundle=str(tmp_path / "none")))
        async with learning_of(core, study) as learning:
            with pytest.raises(LearningFailed, match="none"):
                await learning.learn()
            assert core.value("chaja_learn_runs_total", result="failed") == 1


async def test_a_study_needs_a_temporary_directory(
    tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    async with running(tmp_path / "data", tiny_bundle) as core:
        with pytest.raises(LearningFailed, match="none"):
            await run_study(task_of(core))


async def test_learning_repeats_at_its_interval_even_if_promotions_cannot_be_counted(
    tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(learning_module, "FIRST_SECONDS", 0.01)
    async with running(tmp_path, tiny_bundle) as core, learning_of(core, finding(studied())) as learning:
        with contextlib.closing(sqlite3.connect(tmp_path / DATABASE)) as connection, connection:
            connection.execute("ALTER TABLE promotions RENAME TO lost")
        learning.start(every_seconds=0.02)
        await until(lambda: (core.value("chaja_learn_runs_total", result="unchanged") or 0) >= 3)
        assert "the learnt example queries were not counted" in caplog.text


async def test_a_running_study_is_ended(tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    async with running(tmp_path / "data", tiny_bundle) as core:
        async with learning_of(core) as learning:
            waiting = asyncio.create_task(learning.learn())
            await until(lambda: processes_with(str(temporary)))
            (process,) = processes_with(str(temporary))
            assert list(temporary.iterdir())
            os.kill(int(process.name), signal.SIGSTOP)  # It cannot end on its own.
            await asyncio.sleep(0.2)  # Until the server reads its output.
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not process.exists()
        assert not list(temporary.iterdir())


def processes_with(argument: str) -> list[Path]:
    """Returns the folders in /proc of the programs that have an argument with a text, but for this one."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # It has ended.
            if int(each.name) != os.getpid() and argument.encode() in (each / "cmdline").read_bytes():
                found.append(each)
    return found
